import { StreamStore } from '../channel/stream-store.ts';
import type { AppendRequest, LabelChanges, StreamInfo, StreamPage } from '../model/channel.ts';
import { EngineError } from '../model/errors.ts';
import type { BlobBody, Blobs, ChannelApi, Sql } from '../ports.ts';

/** A channel without sockets: streams are kept, reads are not held, and what is published can be looked at. */
class TestChannel implements ChannelApi {
  readonly published: Array<{ topic: string; message: string }> = [];
  readonly #streams: StreamStore;

  constructor(sql: Sql, nowMs: () => number) {
    this.#streams = new StreamStore(sql, { now: nowMs });
  }

  async connect(): Promise<Response> {
    throw new EngineError('unserved', 'no sockets in this test');
  }

  async publish(topic: string, message: string): Promise<number> {
    this.published.push({ topic, message });
    return 0;
  }

  async ask(): Promise<string> {
    throw new EngineError('unserved', 'no protocols in this test');
  }

  async append(stream: string, request: AppendRequest): Promise<{ last: number; writerIndex: number }> {
    return this.#streams.append(stream, request);
  }

  async read(stream: string, request: { after: number; waitMs: number; max?: number }): Promise<StreamPage> {
    return this.#streams.read(stream, request.after, request.max);
  }

  async info(stream: string, writer?: string): Promise<StreamInfo | null> {
    return this.#streams.info(stream, writer);
  }

  async watchRun(): Promise<null> {
    return null;
  }

  async watchLabel(): Promise<LabelChanges> {
    return { position: { epoch: 'test', n: 0 }, reset: true, runs: [] };
  }
}

/** The channels of one test by name: `channel: channels.of`. */
export class TestChannels {
  readonly #sql: () => Sql;
  readonly #nowMs: () => number;
  readonly #byName = new Map<string, TestChannel>();

  /** Each channel gets a database of its own. */
  constructor(sql: () => Sql, nowMs: () => number = () => Date.UTC(2026, 0, 1)) {
    this.#sql = sql;
    this.#nowMs = nowMs;
  }

  readonly of = (environment: string, name: string): TestChannel => {
    const key = `${environment}/${name}`;
    const channel = this.#byName.get(key) ?? new TestChannel(this.#sql(), this.#nowMs);
    this.#byName.set(key, channel);
    return channel;
  };
}

/** Files in memory; a presigned address says what it grants. */
export class TestBlobs implements Blobs {
  readonly files = new Map<string, { bytes: Uint8Array; contentType: string | null }>();

  async put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    { contentType }: { contentType?: string; maxBytes?: number } = {},
  ): Promise<{ sizeBytes: number }> {
    const bytes = new Uint8Array(await new Response(body as BodyInit).arrayBuffer());
    this.files.set(key, { bytes, contentType: contentType ?? null });
    return { sizeBytes: bytes.byteLength };
  }

  async get(key: string): Promise<BlobBody | null> {
    const file = this.files.get(key);
    if (!file) return null;
    const body = new Response(file.bytes as Uint8Array<ArrayBuffer>).body as ReadableStream<Uint8Array>;
    return { body, sizeBytes: file.bytes.byteLength, contentType: file.contentType };
  }

  async delete(key: string): Promise<void> {
    this.files.delete(key);
  }

  async presign(method: 'GET' | 'PUT', key: string, options: { ttlMs: number; maxBytes?: number }): Promise<string> {
    return `http://blobs/${method}/${encodeURIComponent(key)}?ttl=${options.ttlMs}&max=${options.maxBytes ?? ''}`;
  }
}
