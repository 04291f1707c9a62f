import { cellName, DEFAULT_ENVIRONMENT } from '../core/model/placement.ts';
import type { Blobs, CellApi, ChannelApi, EnvironmentContext, RouteHost } from '../core/ports.ts';
import type { Bindings } from './bindings.ts';
import { BlobClient } from './blobs/blobs.ts';
import { BLOB_SECRET } from './api/blobs.ts';
import { secretOf } from './blobs/secret.ts';
import { CellClient } from './cell/cell-client.ts';
import { cellStub } from './cell/cell-stub.ts';
import { ChannelClient } from './channel/channel-client.ts';
import { isEnding } from './ending.ts';
import { noteEnvironment } from './environments/registry.ts';

/** What the routes of one request reach. A class, and nothing made before it is asked for: there is one for every request. */
export class RequestHost implements RouteHost {
  readonly context: EnvironmentContext;
  readonly #env: Bindings;
  readonly #request: Request;
  readonly #waitUntil: (work: Promise<unknown>) => void;

  constructor(
    env: Bindings,
    context: EnvironmentContext,
    request: Request,
    waitUntil: (work: Promise<unknown>) => void,
  ) {
    this.context = context;
    this.#env = env;
    this.#request = request;
    this.#waitUntil = waitUntil;
  }

  get callerIp(): string {
    return this.#request.headers.get('cf-connecting-ip') ?? '127.0.0.1';
  }

  cell(environment: string): CellApi {
    const env = this.#env;
    return new CellClient(
      cellStub(env, environment),
      cellName(environment, 0),
      env.INGEST,
      environment === DEFAULT_ENVIRONMENT ? undefined : () => noteEnvironment(env, environment),
    );
  }

  channel(environment: string, name: string): ChannelApi {
    const { CHANNEL } = this.#env;
    return new ChannelClient(CHANNEL.get(CHANNEL.idFromName(`${environment}/${name}`)));
  }

  blobs(environment: string): Blobs {
    return new BlobClient(this.#env, environment, this.context.serverUrl, () =>
      secretOf(environment, this.cell(environment), BLOB_SECRET),
    );
  }

  waitUntil(work: Promise<unknown>): void {
    this.#waitUntil(work);
  }

  isEnding(): boolean {
    return isEnding();
  }
}
