import { joinBytes } from '../../core/model/bytes.ts';
import { EngineError } from '../../core/model/errors.ts';
import type { BlobBody, Blobs } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { presignedPath } from './presign.ts';
import { MAX_BYTES_HEADER, SIZE_HEADER, type Shelf } from './shelf.ts';

/** The largest file that is taken where the caller sets no bound. */
const MAX_BLOB_BYTES = 100 * 1_048_576;
/** Files are spread over this many objects of an environment. A change of the number loses what is there. */
const SHELVES = 16;
const MAX_KEY_CHARS = 900;

/** A bucket where one is bound (R2, binding BLOBS), else objects with the files in their databases. */
export class BlobClient implements Blobs {
  readonly #env: Bindings;
  readonly #environment: string;
  readonly #serverUrl: string;
  readonly #secret: () => Promise<string>;

  constructor(env: Bindings, environment: string, serverUrl: string, secret: () => Promise<string>) {
    this.#env = env;
    this.#environment = environment;
    this.#serverUrl = serverUrl;
    this.#secret = secret;
  }

  async put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array | string,
    { contentType, maxBytes = MAX_BLOB_BYTES }: { contentType?: string; maxBytes?: number } = {},
  ): Promise<{ sizeBytes: number }> {
    checkKey(key);
    const headers = new Headers({ [MAX_BYTES_HEADER]: String(maxBytes) });
    if (contentType !== undefined) headers.set('content-type', contentType);
    const bucket = this.#env.BLOBS;
    if (bucket) {
      const { upload, sizeBytes } = await startUpload(bucket, this.#named(key), body, maxBytes, contentType);
      await upload;
      return { sizeBytes };
    }
    const response = await this.#shelf(key).fetch(shelfUrl(key), { method: 'PUT', headers, body });
    if (response.status === 413) throw new EngineError('payload-too-large', await response.text());
    if (!response.ok) throw new Error(`the file could not be written: ${response.status}`);
    return response.json();
  }

  async get(key: string): Promise<BlobBody | null> {
    const bucket = this.#env.BLOBS;
    if (bucket) {
      const object = await bucket.get(this.#named(key));
      return (
        object && { body: object.body, sizeBytes: object.size, contentType: object.httpMetadata?.contentType ?? null }
      );
    }
    const response = await this.#shelf(key).fetch(shelfUrl(key));
    if (response.status === 404) {
      await response.body?.cancel();
      return null;
    }
    if (!response.ok || !response.body) throw new Error(`the file could not be read: ${response.status}`);
    return {
      body: response.body,
      sizeBytes: Number(response.headers.get(SIZE_HEADER)),
      contentType: response.headers.get('content-type'),
    };
  }

  async delete(key: string): Promise<void> {
    if (this.#env.BLOBS) await this.#env.BLOBS.delete(this.#named(key));
    else await this.#shelf(key).fetch(shelfUrl(key), { method: 'DELETE' });
  }

  async presign(method: 'GET' | 'PUT', key: string, options: { ttlMs: number; maxBytes?: number }): Promise<string> {
    checkKey(key);
    const path = await presignedPath(await this.#secret(), {
      method,
      environment: this.#environment,
      key,
      expiresMs: Date.now() + options.ttlMs,
      maxBytes: options.maxBytes ?? MAX_BLOB_BYTES,
    });
    return this.#serverUrl + path;
  }

  #named(key: string): string {
    return `${this.#environment}/${key}`;
  }

  #shelf(key: string): DurableObjectStub<Shelf> {
    return this.#env.SHELF.get(this.#env.SHELF.idFromName(`${this.#environment}/${shelfOf(key)}`));
  }
}

function checkKey(key: string): void {
  if (key.length === 0 || key.length > MAX_KEY_CHARS)
    throw new EngineError('bad-request', `a file's name has 1 to ${MAX_KEY_CHARS} characters`);
}

function shelfUrl(key: string): string {
  return `http://shelf/${encodeURIComponent(key)}`;
}

/** FNV-1a. */
function shelfOf(key: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return (h >>> 0) % SHELVES;
}

/** A bucket wants to know the length beforehand, so a stream is read whole first, within the bound. */
async function startUpload(
  bucket: R2Bucket,
  name: string,
  body: ReadableStream<Uint8Array> | Uint8Array | string,
  maxBytes: number,
  contentType: string | undefined,
): Promise<{ upload: Promise<unknown>; sizeBytes: number }> {
  const bytes = await wholeOf(body, maxBytes);
  const upload = bucket.put(name, bytes, contentType === undefined ? {} : { httpMetadata: { contentType } });
  return { upload, sizeBytes: bytes.byteLength };
}

async function wholeOf(body: ReadableStream<Uint8Array> | Uint8Array | string, maxBytes: number): Promise<Uint8Array> {
  const tooLarge = (): EngineError => new EngineError('payload-too-large', `at most ${maxBytes} bytes are taken here`);
  if (!(body instanceof ReadableStream)) {
    const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
    if (bytes.byteLength > maxBytes) throw tooLarge();
    return bytes;
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.byteLength;
    if (size > maxBytes) throw tooLarge();
    parts.push(part);
  }
  return joinBytes(parts);
}
