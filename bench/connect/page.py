"""The page that ``bench.connect`` measures in: it notes when what happens, in milliseconds since the clock was started."""

PAGE = b"""<!doctype html><link rel="icon" href="data:,"><title>connect</title><script type="module">
import * as sdk from "/sdk/web-sdk.js";
import { firstSound } from "/first-sound.js";
let began = 0, marks = {};
const mark = (name) => { marks[name] ??= performance.now() - began; };
const Peer = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Peer {
  constructor(...args) {
    super(...args);
    mark("peer made");
    this.addEventListener("iceconnectionstatechange", () => mark("ice " + this.iceConnectionState));
    this.addEventListener("connectionstatechange", () => mark("peer " + this.connectionState));
    this.addEventListener("track", ({ track }) => { mark("track"); secured(this); track.onunmute = () => mark("first packet"); if (track.kind === "audio") firstSound(track, 0.002).then(() => mark("sound")); });
  }
};
function secured(peer) {
  const dtls = peer.getTransceivers()[0]?.receiver.transport;
  const look = () => { if (dtls.state === "connected") mark("dtls connected"); };
  dtls?.addEventListener("statechange", look);
}
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...args) {
    super(...args);
    mark("socket asked");
    this.addEventListener("open", () => mark("socket open"));
    this.addEventListener("message", ({ data }) => mark(TOLD[tagOf(data)] ?? "told more"));
  }
  send(data) {
    const asked = ASKED[tagOf(data)];
    if (asked) mark(asked);
    super.send(data);
  }
};
const TOLD = { 1: "told: join", 2: "told: answer", 6: "told: microphone" };  // fields of LiveKit's SignalResponse
const ASKED = { 1: "asks: offer again", 4: "asks: microphone" };  // of its SignalRequest
const tagOf = (data) => new Uint8Array(data.buffer ?? data)[data.byteOffset ?? 0] >> 3;
const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (...args) => { mark("microphone asked"); const got = await open(...args); mark("microphone open"); return got; };
const until = async (there) => { for (let turn = 0; turn < 500 && !there(); turn++) await new Promise((done) => setTimeout(done, 10)); };
const measured = async (connect) => {
  marks = {};
  began = performance.now();
  const hangUp = await connect();
  mark("connected");
  await until(() => marks["sound"] !== undefined);
  const found = { ...marks };
  await new Promise((done) => setTimeout(done, 300));  // for the call to be on record as begun
  await hangUp();
  return found;
};
// the page holds a token: what a backend made for it
window.withToken = (serverUrl, token) => measured(async () => {
  const call = new sdk.OneinboxCall({ serverUrl, token });
  await call.connect();
  return () => call.disconnect();
});
// the page asks for one itself, with its publishable key
window.withKey = async (baseUrl, key, agentId) => {
  const oi = new sdk.OneInbox(key, { baseUrl });
  const asked = window.fetch;
  window.fetch = async (...args) => { const answer = await asked(...args); mark("told: token"); return answer; };
  const found = await measured(async () => {
    await oi.start(agentId);
    return () => oi.stop();
  }).finally(() => { window.fetch = asked; });
  return [oi.callId, found];
};
window.ready = true;
</script>"""
