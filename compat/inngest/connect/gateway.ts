import type { ChannelSocket, SocketHost, SocketProtocol } from '../../../core/ports.ts';
import { InngestError, toErrorBody } from '../errors.ts';
import { parseJson } from '../http.ts';
import { registerApp } from '../registration.ts';
import { explain, RegisterSchema } from '../schema.ts';
import {
  CONNECT_MESSAGE,
  EXTEND_LEASE,
  EXTEND_LEASE_ACK,
  frame,
  GATEWAY_READY,
  KIND,
  REQUEST_REF,
  SDK_RESPONSE,
  SYSTEM_ERROR,
  WORKER_CONNECT,
} from './messages.ts';
import { Requests } from './requests.ts';
import { isSession } from './session-token.ts';
import { decode, encode, type Message, WireError } from './wire.ts';
import { connectionView, Worker, type WorkerNote } from './worker.ts';

/** Name of the protocol, and of the channel in which it runs: one for all workers of an environment. */
export const CONNECT_PROTOCOL = 'inngest-connect';
export const CONNECT_CHANNEL = 'inngest/connect';

/** A frame of a worker: a reply of 8 MiB, and what is around it. */
const MAX_FRAME_BYTES = 8 * 1_048_576 + 65_536;
/** inngest/inngest: pkg/connect/gateway.go: time to introduce oneself, and apps of one worker. */
const HELLO_MS = 5_000;
const MAX_APPS = 10;
const HEARTBEAT_INTERVAL = '10s';
/** The vendor says 30 s. More often, so that a worker that comes back after a broken connection is heard before its requests are given away. */
const EXTEND_INTERVAL = '5s';
/** Heartbeats come every 10 s; after five that did not, nobody is there (inngest/inngest: five missed ones). */
const SILENT_MS = 50_000;
const LOOK_MS = 10_000;
const DRAIN_POLL_MS = 20;
/** Of the time for draining, left for the last message. */
const CLOSING_MS = 400;
/** Between the message and the end of the connection. */
const LAST_WORD_MS = 100;

/** Close codes and reasons (inngest/inngest: pkg/connect, pkg/syscode). */
const POLICY = 1008;
const GOING_AWAY = 1001;
const INTERNAL = 1011;
/** With this reason every SDK tries again; with an unknown one the Go SDK ends. */
const INTERNAL_ERROR = 'connect_internal_error';
const CLEAN = new Set([1000, GOING_AWAY, 1005]);

type Introduction = Message<typeof WORKER_CONNECT>;

/** Why a worker is sent away: close code, and the vendor's code as reason. */
class Rejection extends Error {
  readonly close: number;
  readonly reason: string;
  constructor(close: number, reason: string) {
    super(reason);
    this.close = close;
    this.reason = reason;
  }
}

/** Questions of the routes. */
export type GatewayQuestion = { type: 'connections' } | { type: 'state' } | { type: 'reply'; response: string };

/** The vendor's WebSocket gateway (wire: Connect): workers introduce themselves, take requests and answer them. */
export class ConnectGateway implements SocketProtocol {
  readonly maxFrameBytes = MAX_FRAME_BYTES;
  readonly tick = { everyMs: LOOK_MS, run: (): void => this.#dropSilent() };
  readonly #host: SocketHost;
  readonly #workers = new Map<string, Worker>();
  /** Sockets whose workers are being registered. */
  readonly #introducing = new Set<string>();
  readonly #requests: Requests;
  readonly #id = crypto.randomUUID();

  constructor(host: SocketHost) {
    this.#host = host;
    this.#requests = new Requests(host, () => this.#workers.values(), `inngest-connect/${this.#id}`);
    const nowMs = Date.now();
    for (const socket of host.sockets()) {
      const worker = Worker.restore(socket, nowMs);
      if (!worker) continue;
      this.#workers.set(socket.id, worker);
      this.#requests.changed(Object.keys(worker.note.apps));
    }
  }

  opened(socket: ChannelSocket): void {
    if (this.#requests.draining) return socket.close(GOING_AWAY, 'connect_gateway_closing');
    socket.send(frame(KIND.gatewayHello));
    setTimeout(() => {
      if (!this.#workers.has(socket.id) && !this.#introducing.has(socket.id))
        socket.close(POLICY, 'connect_worker_hello_timeout');
    }, HELLO_MS);
  }

  async received(socket: ChannelSocket, data: string | Uint8Array): Promise<void> {
    try {
      if (typeof data === 'string') throw new Rejection(POLICY, 'connect_worker_hello_invalid_msg');
      const { kind = 0, payload = new Uint8Array() } = decode(CONNECT_MESSAGE, data);
      const worker = this.#workers.get(socket.id);
      if (worker) await this.#heard(worker, kind, payload);
      else if (kind === KIND.workerConnect && !this.#introducing.has(socket.id)) {
        this.#introducing.add(socket.id);
        await this.#introduced(socket, decode(WORKER_CONNECT, payload)).finally(() =>
          this.#introducing.delete(socket.id),
        );
      } else throw new Rejection(POLICY, 'connect_worker_hello_invalid_msg');
    } catch (error) {
      if (error instanceof Rejection) socket.close(error.close, error.reason);
      else if (error instanceof WireError) socket.close(POLICY, 'connect_worker_hello_invalid_payload');
      else {
        console.error('inngest connect: a frame failed:', error);
        socket.close(INTERNAL, INTERNAL_ERROR);
      }
    }
  }

  async #introduced(socket: ChannelSocket, data: Introduction): Promise<void> {
    const { connectionId = '', instanceId = '', auth = {}, apps = [] } = data;
    if (instanceId === '' || instanceId.length > 255 || apps.length === 0)
      throw new Rejection(POLICY, 'connect_worker_hello_invalid_payload');
    if (apps.length > MAX_APPS) throw new Rejection(POLICY, 'connect_too_many_apps_per_connection');
    if (!(await isSession(auth.sessionToken ?? '', connectionId, this.#host.context)))
      throw new Rejection(POLICY, 'connect_authentication_failed');
    let synced: WorkerNote['apps'];
    try {
      synced = await this.#sync(data);
    } catch (error) {
      const { code, error: message, status } = toErrorBody(error);
      if (status >= 500 && status !== 501) console.error('inngest connect: sync failed:', error);
      else console.warn(`inngest connect: a worker could not be synced: ${message}`);
      socket.send(frame(KIND.syncFailed, encode(SYSTEM_ERROR, { code, message })));
      if (status >= 500 && status !== 501) throw new Rejection(INTERNAL, INTERNAL_ERROR);
      throw new Rejection(POLICY, 'connect_invalid_function_config');
    }
    const worker = new Worker(
      socket,
      {
        connectionId,
        instanceId,
        apps: synced,
        maxConcurrency: Math.max(0, data.maxConcurrency ?? 0),
        status: data.manualReadiness ? 'connected' : 'ready',
        sdkLanguage: (data.sdkLanguage ?? '').slice(0, 64),
        sdkVersion: (data.sdkVersion ?? '').slice(0, 64),
        system: {
          cpuCores: data.system?.cpuCores ?? 0,
          memBytes: data.system?.memBytes ?? 0,
          os: (data.system?.os ?? '').slice(0, 64),
        },
      },
      Date.now(),
    );
    worker.become(worker.note.status);
    this.#workers.set(socket.id, worker);
    const ready = { heartbeatInterval: HEARTBEAT_INTERVAL, extendLeaseInterval: EXTEND_INTERVAL, statusInterval: '0s' };
    socket.send(frame(KIND.gatewayReady, encode(GATEWAY_READY, ready)));
    this.#requests.changed(Object.keys(synced));
  }

  /** Registers each app of the worker, as an HTTP registration would. */
  async #sync(data: Introduction): Promise<WorkerNote['apps']> {
    const synced: WorkerNote['apps'] = {};
    for (const { appName = '', appVersion = '', functions } of data.apps ?? []) {
      const parsed = RegisterSchema.safeParse({
        url: 'wss://connect',
        appName,
        functions: parseJson(new TextDecoder().decode(functions)),
      });
      if (!parsed.success)
        throw new InngestError(400, 'invalid_request', `The registration is invalid: ${explain(parsed.error)}.`);
      const { sync_id } = await registerApp(this.#host.cell, parsed.data, this.#host.context);
      synced[appName] = { group: await groupHash(appName, appVersion, sync_id), sync: sync_id };
    }
    return synced;
  }

  async #heard(worker: Worker, kind: number, payload: Uint8Array): Promise<void> {
    worker.lastHeartbeatMs = Date.now();
    const { socket } = worker;
    switch (kind) {
      case KIND.workerHeartbeat:
        return socket.send(frame(KIND.gatewayHeartbeat));
      case KIND.workerReady:
        worker.become('ready');
        return this.#requests.changed(Object.keys(worker.note.apps));
      case KIND.workerPause:
        return worker.become('draining');
      case KIND.requestAck:
        return this.#requests.taken(decode(REQUEST_REF, payload).requestId ?? '', worker);
      case KIND.extendLease: {
        const { leaseId, ...request } = decode(EXTEND_LEASE, payload);
        const isLive = await this.#requests.extended(request.requestId ?? '', worker);
        const ack = isLive && leaseId !== undefined ? { ...request, newLeaseId: leaseId } : request;
        return socket.send(frame(KIND.extendLeaseAck, encode(EXTEND_LEASE_ACK, ack)));
      }
      case KIND.reply: {
        const response = decode(SDK_RESPONSE, payload);
        await this.#requests.replied(response);
        const { requestId = '' } = response;
        return socket.send(frame(KIND.replyAck, encode(REQUEST_REF, { requestId })));
      }
      default:
      // Kinds of newer SDKs tell something, and want no answer.
    }
  }

  closed(socket: ChannelSocket, code: number): void {
    const worker = this.#workers.get(socket.id);
    if (!worker) return;
    this.#workers.delete(socket.id);
    // What could not be finished before the end stays the worker's: it is answered, or runs out, after the next start.
    if (!this.#requests.draining) this.#requests.left(worker, CLEAN.has(code));
  }

  #dropSilent(): void {
    const before = Date.now() - SILENT_MS;
    for (const [id, worker] of this.#workers) {
      if (worker.lastHeartbeatMs > before) continue;
      this.#workers.delete(id);
      this.#requests.left(worker, true);
      worker.socket.close(INTERNAL, INTERNAL_ERROR);
    }
  }

  async asked(question: string): Promise<string> {
    const asked = JSON.parse(question) as GatewayQuestion;
    switch (asked.type) {
      case 'connections':
        return JSON.stringify(
          [...this.#workers.values()].map((worker) => ({
            apps: worker.note.apps,
            maxConcurrency: worker.note.maxConcurrency,
            lastHeartbeatMs: worker.lastHeartbeatMs,
            state: worker.note.status,
            view: connectionView(worker, this.#id),
          })),
        );
      case 'state':
        return JSON.stringify({ draining: this.#requests.draining });
      case 'reply':
        await this.#requests.replied(
          decode(
            SDK_RESPONSE,
            Uint8Array.from(atob(asked.response), (char) => char.charCodeAt(0)),
          ),
        );
        return '{}';
    }
  }

  /**
   * What workers have in hand they may finish; nothing new is given out. Only then are they told to look for another gateway: there is none until
   * the next start, and an SDK that looks for one answers over no connection meanwhile.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#requests.draining = true;
    const deadline = Date.now() + timeoutMs - CLOSING_MS;
    while (this.#requests.size > 0 && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    for (const worker of this.#workers.values()) {
      worker.become('draining');
      worker.socket.send(frame(KIND.gatewayClosing));
    }
    await new Promise((resolve) => setTimeout(resolve, LAST_WORD_MS));
    for (const worker of this.#workers.values()) worker.socket.close(GOING_AWAY, 'connect_gateway_closing');
  }
}

/** Workers of one app at one version are a group. */
async function groupHash(app: string, version: string, sync: string): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify([app, version, sync]));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
