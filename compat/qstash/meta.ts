import type { JsonText } from '../../core/model/payload.ts';
import type { HeaderList, HeaderMap } from './headers.ts';
import type { FlowControl, Redaction, Target } from './options.ts';

/** What a run of this executor remembers of its publish request, besides the body: stored as the run's meta. */
export interface RunMeta {
  url: string;
  method: string;
  contentType?: string;
  headers: HeaderList;
  retries: number;
  retryDelay?: string;
  timeoutMs?: number;
  notBeforeMs?: number;
  callback?: Target;
  failureCallback?: Target;
  flowControl?: FlowControl;
  labels?: string[];
  redact?: Redaction;
  queue?: string;
  topic?: string;
  endpoint?: string;
  schedule?: string;
  callerIp: string;
  /** How many of this server's own deliveries led to this message; absent: none. */
  hops?: number;
  /** The URL group's endpoints; `url` is its name then. Kept up to date by the group's routes. */
  fanOut?: Array<{ url: string; name?: string }>;
  workflow?: WorkflowMeta;
  /** This message reports the end of another one. */
  callbackOf?: { messageId: string; failure: boolean; deadLetterId?: string };
}

export interface WorkflowMeta {
  runId: string;
  /** Absent in a run of its own: the run's creation counts. */
  createdAt?: number;
  url?: string;
  features?: string;
  /** Started by plain HTTP. */
  plain?: boolean;
  /** The first delivery asks the SDK to send the real configuration. */
  unknownSdk?: boolean;
  invoker?: { workflowRunId: string; workflowUrl: string; createdAt: number };
}

export interface StepSettings {
  retries?: number;
  retryDelay?: string;
  flowControl?: FlowControl;
}

/** Meta of a planned call in a workflow run. */
export type CallMeta =
  /** Delivery of an accepted step message. */
  | {
      kind: 'step';
      headers?: HeaderList;
      contentType?: string;
      /** The step that this delivery is to run has settings of its own, which win over the run's. */
      settings?: StepSettings;
      /** No step has come with it: it only brings the run again, under those settings. */
      bare?: boolean;
    }
  /** `context.call`: a request to a third party. */
  | {
      kind: 'call';
      url: string;
      method: string;
      contentType?: string;
      headers: HeaderList;
      timeoutMs?: number;
      retries: number;
      callback: Target;
    }
  /** Nothing to send: the beginning of a run that goes on elsewhere. */
  | { kind: 'none' }
  /** Its result on the way to the workflow. */
  | { kind: 'result'; callback: Target };

/** Meta of a wait: what the SDK wants to see as the step when it is over. */
export interface WaitMeta {
  kind: 'wait' | 'invoke';
  step: Record<string, unknown>;
  eventId?: string;
  childRunId?: string;
}

/** What came back from a destination. As an error payload of a failed attempt, `message` first for whoever reads it raw. */
export interface ResponseRecord {
  message?: string;
  status: number;
  header: HeaderMap;
  /** Base 64. */
  body: string;
}

/** Meta of an outcome. */
export interface ExchangeMeta {
  status: number;
  header?: HeaderMap;
  durationMs: number;
  /** In a workflow's run: the call whose delivery it was. */
  call?: string;
}

export function parseMeta(meta: JsonText | null): RunMeta {
  return JSON.parse(meta ?? '{}') as RunMeta;
}

/** The engine ends a run by itself too (cancelled, expired): then the error is not one of ours. */
export function parseResponse(error: string | Uint8Array | null): ResponseRecord {
  const text = error === null ? '' : typeof error === 'string' ? error : new TextDecoder().decode(error);
  try {
    const value = JSON.parse(text) as Partial<ResponseRecord>;
    return { message: value.message, status: value.status ?? 0, header: value.header ?? {}, body: value.body ?? '' };
  } catch {
    return { message: text || undefined, status: 0, header: {}, body: '' };
  }
}
