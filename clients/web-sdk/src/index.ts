export { type CallCallbacks, type CallDevices, OneinboxCall, type OneinboxCallOptions } from "./call.js";
export { CallError, type CallErrorDetail, type CallErrorReason } from "./errors.js";
export type {
  AgentState,
  AnnouncedCallState,
  CallState,
  ConnectionHealth,
  EndInfo,
  EndReason,
  TranscriptSegment,
  VolumeLevels,
} from "./events.js";
export {
  OneInbox,
  type OneInboxEvents,
  type OneInboxOptions,
  type StartOptions,
  type StartWithToken,
} from "./oneinbox.js";
