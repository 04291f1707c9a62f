import { DurableObject } from 'cloudflare:workers';
import { BlobStore } from '../../core/blobs/blob-store.ts';
import { errorCodeOf, errorMessageOf } from '../../core/model/errors.ts';
import type { Bindings } from '../bindings.ts';
import { DurableSql } from '../cell/durable-sql.ts';
import { Timers } from '../channel/timers.ts';

const SWEEP = 'sweep';
const MIN_SWEEP_MS = 1_000;
export const MAX_BYTES_HEADER = 'x-repoint-max-bytes';
export const SIZE_HEADER = 'x-repoint-size';

/** Files in an object's database, where no bucket is bound. Named `<environment>/<n>`; the path of a request is the file's key. */
export class Shelf extends DurableObject<Bindings> {
  readonly #store: BlobStore;
  readonly #timers: Timers;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    const sql = new DurableSql(ctx.storage);
    this.#store = new BlobStore(sql, { now: () => Date.now() });
    this.#timers = new Timers(sql, ctx.storage);
  }

  override async fetch(request: Request): Promise<Response> {
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1));
    if (request.method === 'PUT') return this.#put(key, request);
    if (request.method === 'DELETE') {
      this.#store.delete(key);
      return new Response(null, { status: 204 });
    }
    const info = this.#store.info(key);
    if (!info) return new Response(null, { status: 404 });
    let n = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (n < info.chunks) controller.enqueue(this.#store.chunk(info.upload, n++));
        if (n >= info.chunks) controller.close();
      },
    });
    const headers = new Headers({ [SIZE_HEADER]: String(info.sizeBytes) });
    if (info.contentType !== null) headers.set('content-type', info.contentType);
    return new Response(body, { headers });
  }

  async #put(key: string, request: Request): Promise<Response> {
    const maxBytes = Number(request.headers.get(MAX_BYTES_HEADER));
    const contentType = request.headers.get('content-type');
    try {
      const body = request.body ?? new Blob([]).stream();
      return Response.json(
        await this.#store.put(key, crypto.randomUUID(), body as ReadableStream<Uint8Array>, { contentType, maxBytes }),
      );
    } catch (error) {
      if (errorCodeOf(error) !== 'payload-too-large') throw error;
      return new Response(errorMessageOf(error), { status: 413 });
    } finally {
      this.#armSweep();
    }
  }

  #armSweep(): void {
    const expiry = this.#store.nextExpiry();
    if (expiry !== null) this.#timers.arm(SWEEP, Math.max(expiry, Date.now() + MIN_SWEEP_MS));
  }

  override async alarm(): Promise<void> {
    this.#timers.take(Date.now());
    this.#store.sweep();
    this.#armSweep();
  }
}
