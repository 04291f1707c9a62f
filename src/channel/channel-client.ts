import type { AppendRequest, LabelChanges, LabelPosition, StreamInfo, StreamPage } from '../../core/model/channel.ts';
import type { ChannelApi, ConnectOptions } from '../../core/ports.ts';
import type { Channel } from './channel.ts';
import { CONNECT_HEADER, writeConnect } from './connect-header.ts';
import { MAX_DATA_CHARS } from './sockets.ts';

/** A channel as the routes reach it. `async`, because a promise of RPC is not a Promise in every respect. */
export class ChannelClient implements ChannelApi {
  readonly #channel: DurableObjectStub<Channel>;

  constructor(channel: DurableObjectStub<Channel>) {
    this.#channel = channel;
  }

  async connect(request: Request, options: ConnectOptions): Promise<Response> {
    if ((options.data?.length ?? 0) > MAX_DATA_CHARS)
      throw new RangeError(`data of a socket has at most ${MAX_DATA_CHARS} characters`);
    const headers = new Headers(request.headers);
    headers.set(CONNECT_HEADER, writeConnect(options));
    return this.#channel.fetch(new Request(request.url, { headers }));
  }

  async publish(topic: string, message: string): Promise<number> {
    return this.#channel.publish(topic, message);
  }

  async ask(protocol: string, question: string): Promise<string> {
    return this.#channel.ask(protocol, question);
  }

  async append(stream: string, request: AppendRequest): Promise<{ last: number; writerIndex: number }> {
    return this.#channel.append(stream, request);
  }

  async read(stream: string, request: { after: number; waitMs: number; max?: number }): Promise<StreamPage> {
    return this.#channel.read(stream, request);
  }

  async info(stream: string, writer?: string): Promise<StreamInfo | null> {
    return this.#channel.info(stream, writer);
  }

  async watchRun(request: {
    run: string;
    view: string;
    afterSeq: number;
    waitMs: number;
  }): Promise<{ seq: number; view: string } | null> {
    return this.#channel.watchRun(request);
  }

  async watchLabel(request: {
    label: string;
    view: string;
    after: LabelPosition | null;
    waitMs: number;
  }): Promise<LabelChanges> {
    return this.#channel.watchLabel(request);
  }
}
