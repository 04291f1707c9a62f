import type { StreamChunk } from '../../../core/model/channel.ts';
import type { ChannelApi } from '../../../core/ports.ts';

/** How long one read is held; in between a sign of life is sent. */
const READ_MS = 10_000;
/** Without a chunk for this long the answer ends (trigger.dev: realtime streams, `Timeout-Seconds`). */
const DEFAULT_TIMEOUT_S = 60;
const MAX_TIMEOUT_S = 600;

export interface EventStreamOptions {
  channel: ChannelApi;
  /** Name in the channel. */
  stream: string;
  /** Position after which it begins. */
  after: number;
  timeoutSeconds: number | null;
  version: 'v1' | 'v2';
  /** Resolves when nothing will be appended any more, or `isWanted` does not hold. */
  untilOver(isWanted: () => boolean): Promise<void>;
  frame(chunks: readonly StreamChunk[]): string;
  /** Of the host: the process is about to end. */
  isEnding(): boolean;
}

/** A stream as server-sent events: what there is, then what comes, until its run has ended or nothing has come for the time asked for. */
export function eventStream(options: EventStreamOptions): Response {
  const timeoutMs = Math.min(options.timeoutSeconds ?? DEFAULT_TIMEOUT_S, MAX_TIMEOUT_S) * 1_000;
  const encoder = new TextEncoder();
  let after = options.after;
  let lastAt = Date.now();
  let isWanted = true;
  let isOver = false;
  const over = options
    .untilOver(() => isWanted && !options.isEnding())
    // Only a run's own end is one.
    .then(() => (options.isEnding() ? new Promise<void>(() => {}) : undefined))
    .then(
      () => void (isOver = true),
      (error: unknown) => {
        console.error('the end of a run could not be watched, its readers end by time:', error);
        return new Promise<void>(() => {});
      },
    );
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { stream } = options;
      const wasOver = isOver;
      const restMs = lastAt + timeoutMs - Date.now();
      const waitMs = wasOver ? 0 : Math.max(0, Math.min(READ_MS, restMs));
      const reading = options.channel.read(stream, { after, waitMs });
      const page = wasOver ? await reading : await Promise.race([reading, over]);
      // The run has ended meanwhile: what it wrote last is read without waiting.
      if (!page) return this.pull?.(controller);
      if (page.chunks.length > 0) {
        after = (page.chunks.at(-1) as StreamChunk).seq;
        lastAt = Date.now();
        controller.enqueue(encoder.encode(options.frame(page.chunks)));
      } else if (!wasOver && options.isEnding()) {
        // An end that is none of the stream: the SDK connects again where it was (@trigger.dev/core: apiClient/runStream).
        isWanted = false;
        controller.error(new Error('the server is ending'));
      } else if (wasOver || page.closed || restMs <= waitMs) {
        isWanted = false;
        controller.close();
      } else {
        // A comment: whoever has gone is noticed by what cannot be written.
        controller.enqueue(encoder.encode(': \n\n'));
      }
    },
    cancel() {
      isWanted = false;
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-stream-version': options.version,
    },
  });
}

/** `id: <ms>-<position>` and the chunk as data; what is not one line of JSON is made one. */
export function firstVersion(chunks: readonly StreamChunk[]): string {
  return chunks
    .map(
      ({ atMs, seq, data }) =>
        `id: ${atMs}-${seq}\n${data
          .split('\n')
          .map((line) => `data: ${line}\n`)
          .join('')}\n`,
    )
    .join('');
}

/** Batches of records; `seq_num` counts from 0. */
export function secondVersion(chunks: readonly StreamChunk[]): string {
  const records = chunks.map(({ seq, atMs, data }) => ({ seq_num: seq - 1, timestamp: atMs, body: data, headers: [] }));
  return `event: batch\nid: ${(chunks.at(-1) as StreamChunk).seq - 1}\ndata: ${JSON.stringify({ records })}\n\n`;
}

/**
 * Position that a `Last-Event-ID` names: after the dash in the first version's ids; a bare number is a chunk's index from 0, as the second version's
 * ids are and as the SDK sends for `startIndex`. Null for none.
 */
export function positionOfEvent(id: string | undefined): number | null {
  const match = /^(?:\d+-(\d+)|(\d+))$/.exec(id ?? '');
  if (!match) return null;
  return match[1] === undefined ? Number(match[2]) + 1 : Number(match[1]);
}
