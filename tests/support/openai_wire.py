"""A local server that speaks OpenAI's wire: chat completions (SSE), audio speech, audio transcriptions, models.

It is strict with what it is asked (a request that OpenAI would refuse is refused), fails on demand, and keeps a record of
every request. In a test::

    async with OpenAiWire(Script(replies={"hello": "Good morning."})) as wire:
        ...  # base_url=wire.base_url

As a process: ``python -m tests.support.openai_wire --port 8123 --script script.json`` prints its address on one line;
the file holds the fields of ``Script``, ``known`` as ``[{"text": ..., "voice": "slt"} | {"text": ..., "prompt": name}
| {"text": ..., "wav": path}]`` (voice: spoken by flite; prompt: an Asterisk prompt). ``/admin/requests``
(GET), ``/admin/faults`` and ``/admin/script`` (POST) look into it and change it from outside.

Transcripts: the words of the ``known`` recordings in the audio; else the next of ``transcripts``; else a description. Audio without
speech has no words, and a request that is abandoned before its answer takes no transcript away.
"""

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from tests.support.openai_connection import Connection, GoneError, read_form
from tests.support.openai_script import FAULTS, Asked, Fault, Script
from tests.support.openai_sound import NotWavError, Recording, recognise, recorded, speech_s, voiced, wav_header

_STAGES = {
    "/v1/chat/completions": "llm",
    "/v1/audio/speech": "tts",
    "/v1/audio/transcriptions": "stt",
    "/v1/models": "",
}
_PIECE = 1999  # odd, so that samples are cut in two


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _Call(msgspec.Struct):
    id: str
    type: Literal["function"]
    function: _Function


class _Message(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None
    tool_calls: list[_Call] = []
    tool_call_id: str | None = None


def _check_tools(messages: list[_Message]) -> None:
    """Refuse, as OpenAI does, what does not answer each tool call at once and once."""
    owed: list[str] = []
    for at, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in owed:
                raise _RefusedError(400, f"messages.[{at}]: a tool message has to answer a preceding tool call")
            owed.remove(message.tool_call_id)
        elif owed:
            raise _RefusedError(400, f"messages.[{at}]: these tool calls have no answer: {', '.join(owed)}")
        if message.content is None and not message.tool_calls:
            raise _RefusedError(400, f"messages.[{at}].content: a text is needed")
        owed += [call.id for call in message.tool_calls]
    if owed:
        raise _RefusedError(400, f"these tool calls have no answer: {', '.join(owed)}")


def _check_order(messages: list[_Message]) -> None:
    for one, other in pairwise(messages):
        if (one.role, other.role) == ("tool", "user"):
            raise _RefusedError(400, "Unexpected role 'user' after role 'tool'", "3230")


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class OpenAiWire:
    """The server. With ``api_key``, requests that do not hold it are refused, the wrong key quoted as others do."""

    def __init__(self, script: Script | None = None, *, api_key: str | None = None, port: int = 0) -> None:
        self.script = script or Script()
        self.faults: dict[str, Fault] = {}
        """By stage: ``llm``, ``stt``, ``tts``."""
        self.requests: list[Asked] = []
        self.connections = 0
        self.base_url = ""
        self._api_key = api_key
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()
        self._recordings: list[Recording] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=1 << 20)
        port = self._server.sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def fail(self, stage: str, kind: str | int, times: int = 1) -> None:
        """Let the next requests of ``stage`` fail."""
        assert str(kind) in FAULTS or 300 <= int(kind) < 600, kind
        self.faults[stage] = Fault(kind=str(kind), times=times)

    def asked(self, stage: str) -> list[Asked]:
        """Return the requests of a stage so far."""
        return [request for request in self.requests if request.stage == stage]

    # ---- connections --------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        number = self.connections
        connection = Connection(reader, writer)
        try:
            while (request := await connection.read_request()) is not None:
                await self._answer(connection, number, *request)
        except (GoneError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _answer(
        self, connection: Connection, number: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        if path.startswith("/admin/"):
            await self._administer(connection, method, path, body)
            return
        asked = Asked(_STAGES.get(path, "?"), path, number, headers.get("authorization"))
        self.requests.append(asked)
        fault = self._next_fault(asked)
        try:
            self._check(asked, method, headers, body)
            _refuse(fault, asked)
            if fault in ("drop", "stall", "stall_headers", "not_http", "wrong_type", "empty"):
                await self._fail(connection, fault, path)
            elif asked.stage == "llm":
                await self._chat(connection, asked)
            elif asked.stage == "tts":
                await self._speak(connection, asked)
            elif asked.stage == "stt":
                await self._transcribe(connection, asked)
            else:
                await connection.write_json(200, {"object": "list", "data": [{"id": "wire", "object": "model"}]})
            asked.answered = asked.fault is None
        except _RefusedError as refused:
            retry = {"Retry-After": "2"} if refused.status == 429 else {}
            error = {"message": str(refused), "type": "wire_error", "code": refused.code, "param": None}
            await connection.write_json(refused.status, {"error": error}, **retry)

    def _next_fault(self, asked: Asked) -> str | None:
        fault = self.faults.get(asked.stage)
        if fault is None or fault.times == 0:
            return None
        fault.times -= 1
        asked.fault = fault.kind
        return fault.kind

    def _check(self, asked: Asked, method: str, headers: dict[str, str], body: bytes) -> None:
        if asked.stage == "?":
            raise _RefusedError(404, f"there is no {asked.path}")
        if method != ("POST" if asked.stage else "GET"):
            raise _RefusedError(405, f"{method} is not for {asked.path}")
        if self._api_key is not None and asked.authorization != f"Bearer {self._api_key}":
            given = (asked.authorization or "none").removeprefix("Bearer ")
            raise _RefusedError(401, f"Incorrect API key provided: {given}.", "invalid_api_key")
        try:
            if asked.stage == "stt":
                asked.body, asked.audio = read_form(headers.get("content-type", ""), body)
                asked.speech_s = speech_s(asked.audio)
            elif asked.stage:
                asked.body = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.DecodeError, NotWavError, ValueError) as error:
            raise _RefusedError(400, f"the body cannot be read: {error}") from None
        if asked.stage and not isinstance(asked.body.get("model"), str):
            raise _RefusedError(400, "you must provide a model parameter")

    async def _fail(self, connection: Connection, fault: str, path: str) -> None:
        if fault == "drop":
            connection.reset()
            raise GoneError
        if fault == "not_http":
            await connection.write(b"\x15\x03\x01 this is not HTTP\r\n\r\n")
            raise GoneError
        if fault == "wrong_type":
            await connection.write_whole(200, "text/html; charset=utf-8", b"<html>A captive portal</html>")
            return
        kind = {"llm": "text/event-stream", "tts": "audio/pcm", "stt": "application/json"}[_STAGES[path]]
        if fault == "empty":
            await connection.write_whole(200, kind, b"")
            return
        if fault == "stall_headers":
            await connection.write_head(200, {"Content-Type": kind, "Content-Length": "1000"})
        await connection.pause()

    async def _stream(
        self, connection: Connection, kind: str, pieces: AsyncIterator[bytes], asked: Asked, half: int
    ) -> None:
        """Send a chunked answer; faults strike after ``half`` pieces."""
        await connection.write_head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})
        sent = 0
        async for piece in pieces:
            await connection.pause(0)
            await connection.write_chunk(piece)
            sent += 1
            if sent == half:
                await self._break_off(connection, asked)
        await connection.write(b"0\r\n\r\n")

    async def _break_off(self, connection: Connection, asked: Asked) -> None:
        if asked.fault == "stall_mid":
            await connection.pause()
        elif asked.fault in ("reset_mid", "cut_mid"):
            await connection.pause(0.05)  # what was sent is to arrive
            if asked.fault == "reset_mid":
                connection.reset()
            raise GoneError

    # ---- the stages ---------------------------------------------------------------------------------------------

    async def _chat(self, connection: Connection, asked: Asked) -> None:
        try:
            messages = msgspec.convert(asked.body.get("messages"), list[_Message])
        except msgspec.ValidationError as error:
            raise _RefusedError(400, f"messages: {error}") from None
        if not messages or asked.body.get("stream") is not True:
            raise _RefusedError(400, "messages and stream: true are needed")
        _check_tools(messages)
        if self.script.strict_order:
            _check_order(messages)
        reply = self._reply_to(messages[-1].content or "")
        await self._stream(
            connection, "text/event-stream; charset=utf-8", self._events(connection, asked, reply), asked, 3
        )

    def _reply_to(self, said: str) -> dict[str, Any]:
        replies = {_plain(key): value for key, value in self.script.replies.items()}
        reply = replies.get(_plain(said), f"You said: {said}")
        return {"text": reply} if isinstance(reply, str) else reply

    async def _events(self, connection: Connection, asked: Asked, reply: dict[str, Any]) -> AsyncIterator[bytes]:
        await connection.pause(self.script.first_token_s)
        if asked.fault == "silent":
            reply = {}
        yield _chunk({"role": "assistant", "content": ""})
        for word in str(reply.get("text", "")).split(" ") if reply.get("text") else []:
            yield _chunk({"content": f"{word} "})
            await connection.pause(self.script.token_s)
            if asked.fault == "garbage":
                yield b'data: {"choices": [{"delta": {"conte\n\n'
            elif asked.fault == "garbage_utf8":
                yield b'data: {"choices": [{"delta": {"content": "\xc3\x28\xff"}}]}\n\n'
            elif asked.fault == "told":
                told = {"message": f"overloaded; you sent {asked.authorization}", "code": "server_error"}
                yield b"data: " + json.dumps({"error": told}).encode() + b"\n\n"
        calls = reply.get("tool_calls", [])
        for index, call in enumerate(calls):
            function = {"name": call["name"], "arguments": ""}
            yield _chunk(
                {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}
            )
            arguments = json.dumps(call.get("arguments", {}))
            for at in range(0, len(arguments), 7):
                yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[at : at + 7]}}]})
        yield _chunk({}, "tool_calls" if calls else "stop")
        yield b'data: {"choices": [], "usage": {"total_tokens": 7}}\r\n\r\n: bye\r\n\r\n'
        if self.script.done_line:
            yield b"data: [DONE]\n\n"

    async def _speak(self, connection: Connection, asked: Asked) -> None:
        body = asked.body
        if not body.get("input") or not body.get("voice") or body.get("response_format") != "pcm":
            raise _RefusedError(400, "input, voice and response_format: pcm are needed")
        if not 0.25 <= body.get("speed", 1.0) <= 4.0:
            raise _RefusedError(400, "speed is between 0.25 and 4")
        rate_hz = self.script.audio_rate_hz
        pcm = await asyncio.to_thread(voiced, str(body["input"]), rate_hz)
        if asked.fault == "silent":
            pcm = b""
        elif asked.fault in ("garbage", "garbage_utf8"):
            pcm = b"ID3\x04\x00" + bytes(4000)
        elif asked.fault == "told":
            error = {"error": {"message": f"no such voice; you sent {asked.authorization}"}}
            await connection.write_json(200, error)
            return
        elif self.script.audio_format == "wav":
            pcm = wav_header(rate_hz) + pcm
        kind = f"audio/{self.script.audio_format}"
        await self._stream(connection, kind, self._audio(connection, pcm), asked, 3)

    async def _audio(self, connection: Connection, pcm: bytes) -> AsyncIterator[bytes]:
        await connection.pause(self.script.first_audio_s)
        for at in range(0, len(pcm), _PIECE):
            yield pcm[at : at + _PIECE]

    async def _transcribe(self, connection: Connection, asked: Asked) -> None:
        if asked.body.get("response_format", "json") != "json":
            raise _RefusedError(400, "this server knows response_format: json alone")
        await connection.pause(self.script.transcript_s)
        text = await asyncio.to_thread(self._words, asked)
        await connection.pause(0)
        if asked.speech_s and text is None:
            text = (
                self.script.transcripts.pop(0)
                if self.script.transcripts
                else f"{asked.speech_s:.1f} seconds of speech."
            )
        body = json.dumps({"text": text or "", "usage": {"type": "duration", "seconds": 1}}).encode()
        if asked.fault == "silent":
            body = b'{"text": null}'
        elif asked.fault in ("garbage", "garbage_utf8"):
            body = b'{"text": "\xff\xfe' if asked.fault == "garbage_utf8" else b'{"text": "half'
        elif asked.fault == "told":
            body = json.dumps({"error": {"message": f"no; you sent {asked.authorization}"}}).encode()
        elif asked.fault in ("stall_mid", "reset_mid", "cut_mid"):
            await connection.write_head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
            await connection.write(body[: len(body) // 2])
            await self._break_off(connection, asked)
        await connection.write_whole(200, "application/json", body)

    def _words(self, asked: Asked) -> str | None:
        if self._recordings is None:
            self._recordings = [Recording.of(known["text"], recorded(known)) for known in self.script.known]
        return recognise(asked.audio, self._recordings) if asked.speech_s and self._recordings else None

    # ---- from outside -------------------------------------------------------------------------------------------

    async def _administer(self, connection: Connection, method: str, path: str, body: bytes) -> None:
        what = path.removeprefix("/admin/")
        if (method, what) == ("GET", "requests"):
            rows = [{**asdict(asked), "audio": len(asked.audio), "authorization": None} for asked in self.requests]
            await connection.write_json(200, rows)
        elif (method, what) == ("POST", "faults"):
            self.faults = msgspec.json.decode(body, type=dict[str, Fault])
            await connection.write_json(200, {})
        elif (method, what) == ("POST", "script"):
            self.script = msgspec.json.decode(body, type=Script)
            self._recordings = None
            await connection.write_json(200, {})
        else:
            await connection.write_json(404, {})


def _refuse(fault: str | None, asked: Asked) -> None:
    if fault is not None and fault.isdecimal():
        raise _RefusedError(int(fault), f"failing on demand; you sent {asked.authorization}")


def _plain(text: str) -> str:
    return text.strip().strip(".!?").casefold()


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


async def _run(port: int, script: Script) -> None:
    async with OpenAiWire(script, port=port) as wire:
        print(wire.base_url, flush=True)
        parent = os.getppid()
        while os.getppid() == parent:  # it goes, at the latest, when the process that started it has gone
            await asyncio.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description="A local server that speaks OpenAI's wire.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    options = parser.parse_args()
    script = Script() if options.script is None else msgspec.json.decode(options.script.read_bytes(), type=Script)
    asyncio.run(_run(options.port, script))


if __name__ == "__main__":
    main()
