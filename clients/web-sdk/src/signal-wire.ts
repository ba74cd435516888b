/**
 * As much of LiveKit's signalling (`livekit_rtc.proto`) as a connection test says and hears, in protobuf's own encoding
 * (https://protobuf.dev/programming-guides/encoding): messages, texts and lists of them are fields of bytes.
 */

const VARINT = 0;
const BYTES = 2;

// field numbers
const WRAPPED_JOIN_REQUEST = 2; // of WrappedJoinRequest
const PUBLISHER_OFFER = 6; // of JoinRequest
const [TYPE, SDP, ID] = [1, 2, 3]; // of SessionDescription
const [JOIN, ANSWER, LEAVE] = [1, 2, 8]; // of SignalResponse
const ICE_SERVERS = 5; // of JoinResponse
const [URLS, USERNAME, CREDENTIAL] = [1, 2, 3]; // of ICEServer

/** `SignalRequest{leave{}}`: the goodbye. */
export const GOODBYE = Uint8Array.of((8 << 3) | BYTES, 0);

/** What the server says that a connection test wants to know. */
export interface SignalNews {
  iceServers?: RTCIceServer[];
  answer?: string;
  left?: boolean;
}

/** Return the `join_request` of a `/rtc/v1` address, with an offer. */
export function joinRequest(offer: string): string {
  const text = new TextEncoder();
  const description = [
    ...bytesField(TYPE, text.encode("offer")),
    ...bytesField(SDP, text.encode(offer)),
    ...[(ID << 3) | VARINT, 1],
  ];
  const wrapped = bytesField(WRAPPED_JOIN_REQUEST, bytesField(PUBLISHER_OFFER, description));
  return btoa(wrapped.map((byte) => String.fromCharCode(byte)).join(""))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

/** Read one `SignalResponse`. Throws `RangeError` for what is none. */
export function readSignal(message: Uint8Array): SignalNews {
  const news: SignalNews = {};
  for (const [number, content] of fields(message)) {
    if (number === JOIN) news.iceServers = fieldsOf(content, ICE_SERVERS).map(readIceServer);
    if (number === ANSWER) news.answer = textOf(content, SDP);
    if (number === LEAVE) news.left = true;
  }
  return news;
}

function readIceServer(server: Uint8Array): RTCIceServer {
  return {
    urls: fieldsOf(server, URLS).map((url) => new TextDecoder().decode(url)),
    username: textOf(server, USERNAME),
    credential: textOf(server, CREDENTIAL),
  };
}

function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  return [...fields(message)].filter(([number]) => number === wanted).map(([, content]) => content);
}

function textOf(message: Uint8Array, wanted: number): string {
  return new TextDecoder().decode(fieldsOf(message, wanted).at(-1));
}

/** The fields of bytes; what is of another type is passed over. */
function* fields(message: Uint8Array): Generator<[number, Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new RangeError("a message that breaks off");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const type = tag & 7;
    if (type === VARINT) varint();
    else if (type === BYTES) {
      const length = varint();
      if (at + length > message.length) throw new RangeError("a field that breaks off");
      yield [tag >>> 3, message.subarray(at, at + length)];
      at += length;
    } else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else throw new RangeError(`a field of type ${type}`);
  }
}

function bytesField(number: number, content: Iterable<number>): number[] {
  const bytes = [...content];
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
  return [(number << 3) | BYTES, ...length, rest, ...bytes];
}
