import { encode, type Message } from './wire.ts';

/** Messages of Connect (inngest/inngest: proto/connect/v1/connect.proto): the fields that are read or written here. */

/** WebSocket sub-protocol. */
export const SUBPROTOCOL = 'v0.connect.inngest.com';

export const KIND = {
  gatewayHello: 0,
  workerConnect: 1,
  gatewayReady: 2,
  executorRequest: 3,
  workerReady: 4,
  requestAck: 5,
  reply: 6,
  replyAck: 7,
  workerPause: 8,
  workerHeartbeat: 9,
  gatewayHeartbeat: 10,
  gatewayClosing: 11,
  extendLease: 12,
  extendLeaseAck: 13,
  syncFailed: 14,
  workerStatus: 15,
} as const;

/** SDKResponseStatus. */
export const STATUS = { notCompleted: 0, done: 1, error: 2 } as const;

export const CONNECT_MESSAGE = { kind: [1, 'number'], payload: [2, 'bytes'] } as const;

const APP = { appName: [1, 'string'], appVersion: [2, 'string'], functions: [4, 'bytes'] } as const;
const AUTH = { sessionToken: [1, 'string'], syncToken: [2, 'string'] } as const;
const SYSTEM = { cpuCores: [1, 'number'], memBytes: [2, 'number'], os: [3, 'string'] } as const;

export const WORKER_CONNECT = {
  connectionId: [1, 'string'],
  instanceId: [2, 'string'],
  auth: [3, 'message', AUTH],
  apps: [5, 'messages', APP],
  manualReadiness: [6, 'bool'],
  system: [7, 'message', SYSTEM],
  environment: [8, 'string'],
  framework: [9, 'string'],
  platform: [10, 'string'],
  sdkVersion: [11, 'string'],
  sdkLanguage: [12, 'string'],
  maxConcurrency: [14, 'number'],
} as const;

export const GATEWAY_READY = {
  heartbeatInterval: [1, 'string'],
  extendLeaseInterval: [2, 'string'],
  statusInterval: [3, 'string'],
} as const;

export const EXECUTOR_REQUEST = {
  requestId: [1, 'string'],
  accountId: [2, 'string'],
  envId: [3, 'string'],
  appId: [4, 'string'],
  appName: [5, 'string'],
  functionId: [6, 'string'],
  functionSlug: [7, 'string'],
  stepId: [8, 'string'],
  payload: [9, 'bytes'],
  systemTrace: [10, 'bytes'],
  userTrace: [11, 'bytes'],
  runId: [12, 'string'],
  leaseId: [13, 'string'],
  jobId: [14, 'string'],
} as const;

/** WorkerRequestAckData, WorkerRequestExtendLeaseData and WorkerReplyAckData begin alike. */
export const REQUEST_REF = { requestId: [1, 'string'] } as const;

export const EXTEND_LEASE = {
  requestId: [1, 'string'],
  accountId: [2, 'string'],
  envId: [3, 'string'],
  appId: [4, 'string'],
  functionSlug: [5, 'string'],
  leaseId: [10, 'string'],
} as const;

/** Without `newLeaseId` the lease is lost. */
export const EXTEND_LEASE_ACK = {
  requestId: [1, 'string'],
  accountId: [2, 'string'],
  envId: [3, 'string'],
  appId: [4, 'string'],
  functionSlug: [5, 'string'],
  newLeaseId: [6, 'string'],
} as const;

export const SDK_RESPONSE = {
  requestId: [1, 'string'],
  status: [5, 'number'],
  body: [6, 'bytes'],
  noRetry: [7, 'bool'],
  retryAfter: [8, 'string'],
  sdkVersion: [9, 'string'],
  requestVersion: [10, 'number'],
} as const;
export type SdkResponse = Message<typeof SDK_RESPONSE>;

export const SYSTEM_ERROR = { code: [1, 'string'], data: [2, 'bytes'], message: [3, 'string'] } as const;

export const START_RESPONSE = {
  connectionId: [1, 'string'],
  gatewayEndpoint: [2, 'string'],
  gatewayGroup: [3, 'string'],
  sessionToken: [4, 'string'],
  syncToken: [5, 'string'],
} as const;

export function frame(kind: number, payload?: Uint8Array): Uint8Array<ArrayBuffer> {
  return encode(CONNECT_MESSAGE, { kind, ...(payload === undefined ? {} : { payload }) });
}
