import type { ChannelApi } from '../../../core/ports.ts';
import type { RouteContext } from '../http.ts';
import { ENVIRONMENT_ID } from '../names.ts';

/** A JSON text frame as subscribers get it (npm inngest: components/realtime/types.ts, messageSchema). */
export interface Message {
  kind: 'data' | 'datastream-start' | 'datastream-end' | 'chunk';
  channel: string;
  environment: string;
  topic: string;
  runId: string | null;
  createdAtMs: number;
  /** Of a data stream. */
  streamId?: string;
}

/** `data` is JSON text: it goes to the subscribers as it came. */
export function messageFrame(message: Message, data: string): string {
  const head = {
    kind: message.kind,
    channel: message.channel,
    topic: message.topic,
    created_at: new Date(message.createdAtMs).toISOString(),
    // A UUID, which the Go SDK insists on: that of an environment never changes.
    env_id: ENVIRONMENT_ID,
    ...(message.runId === null ? {} : { run_id: message.runId }),
    ...(message.streamId === undefined ? {} : { stream_id: message.streamId }),
  };
  return `${JSON.stringify(head).slice(0, -1)},"data":${data}}`;
}

/** What is not JSON is text (inngest/inngest: pkg/execution/realtime/api.go PostPublish). */
export function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}

/** Where those who listen to a channel of the vendor's meet. */
export function realtimeChannel(c: RouteContext, channel: string): ChannelApi {
  const { host } = c.var;
  return host.channel(host.context.environment, `inngest/realtime/${channel}`);
}

/** Stream of a channel with the bytes that are passed on as they are. */
export const RAW_STREAM = 'raw';
/** Topic of a run's raw bytes (inngest/inngest: docs/durable-endpoint-streaming.md). */
export const RAW_TOPIC = '$stream';
