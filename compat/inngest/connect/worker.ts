import type { ChannelSocket } from '../../../core/ports.ts';

/** A worker that names no bound of its own gets at most so many requests at once. */
const UNBOUNDED = 1_000;

/** What is known of a worker since it introduced itself. Noted at its socket, so that it outlives a hibernation. */
export interface WorkerNote {
  connectionId: string;
  instanceId: string;
  /** Apps by name: hash of the group and id of the sync. */
  apps: Record<string, { group: string; sync: string }>;
  /** 0: as many as it can take. */
  maxConcurrency: number;
  status: 'connected' | 'ready' | 'draining';
  sdkLanguage: string;
  sdkVersion: string;
  system: { cpuCores: number; memBytes: number; os: string };
}

/** One connection of a worker. */
export class Worker {
  readonly socket: ChannelSocket;
  readonly note: WorkerNote;
  /** Ids of the requests that it has in hand. */
  readonly requests = new Set<string>();
  lastHeartbeatMs: number;
  /** Counts up with each request of the gateway: among equals the one that waited longest is next. */
  lastServed = 0;

  constructor(socket: ChannelSocket, note: WorkerNote, nowMs: number) {
    this.socket = socket;
    this.note = note;
    this.lastHeartbeatMs = nowMs;
  }

  /** A worker whose socket was there before the gateway was. */
  static restore(socket: ChannelSocket, nowMs: number): Worker | null {
    return socket.state === '' ? null : new Worker(socket, JSON.parse(socket.state) as WorkerNote, nowMs);
  }

  become(status: WorkerNote['status']): void {
    this.note.status = status;
    this.socket.state = JSON.stringify(this.note);
  }

  serves(app: string): boolean {
    return this.note.status === 'ready' && app in this.note.apps;
  }

  /** Requests that it can take now. */
  get room(): number {
    const { maxConcurrency } = this.note;
    return Math.max(0, (maxConcurrency > 0 ? maxConcurrency : UNBOUNDED) - this.requests.size);
  }
}

/** The worker that shall have the next request of an app: the one with most room, then the one that waited longest. */
export function chooseWorker(workers: Iterable<Worker>, app: string): Worker | null {
  let best: Worker | null = null;
  for (const worker of workers) {
    if (!worker.serves(app) || worker.room === 0) continue;
    if (best === null || worker.room > best.room || (worker.room === best.room && worker.lastServed < best.lastServed))
      best = worker;
  }
  return best;
}

export function roomFor(workers: Iterable<Worker>, app: string): number {
  let room = 0;
  for (const worker of workers) if (worker.serves(app)) room += worker.room;
  return room;
}

/** ConnMetadata as the vendor's pages show it, but for its groups: Go's JSON of the message, where zero values are left out. */
export function connectionView(worker: Worker, gatewayId: string): { id: string } & Record<string, unknown> {
  const { note } = worker;
  return {
    id: note.connectionId,
    gateway_id: gatewayId,
    instance_id: note.instanceId,
    ...(note.status === 'connected' ? {} : { status: note.status === 'ready' ? 1 : 2 }),
    last_heartbeat_at: {
      seconds: Math.floor(worker.lastHeartbeatMs / 1_000),
      nanos: (worker.lastHeartbeatMs % 1_000) * 1_000_000,
    },
    sdk_language: note.sdkLanguage,
    sdk_version: note.sdkVersion,
    attributes: { cpu_cores: note.system.cpuCores, mem_bytes: note.system.memBytes, os: note.system.os },
  };
}
