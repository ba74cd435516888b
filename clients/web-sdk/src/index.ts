export {
  type CallCallbacks,
  type CallDevices,
  type MethodsOption,
  OneinboxCall,
  type OneinboxCallOptions,
  type ResumeOption,
} from "./call.js";
export {
  type ConnectionPath,
  type ConnectionTest,
  type ConnectionTestOptions,
  type PathTest,
  testConnection,
} from "./connection-test.js";
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
export { type KeptCall, keptCall } from "./kept-call.js";
export {
  OneInbox,
  type OneInboxEvents,
  type OneInboxOptions,
  type StartOptions,
  type StartWithToken,
} from "./oneinbox.js";
export type { PageMethods } from "./room-port.js";
