import { describe, expect, it } from 'vitest';
import type { ChannelSocket } from '../../../core/ports.ts';
import { chooseWorker, connectionView, roomFor, Worker, type WorkerNote } from './worker.ts';

function worker(id: string, note: Partial<WorkerNote> = {}, busy = 0): Worker {
  const socket = { id, data: '', state: '', send() {}, close() {} } as unknown as ChannelSocket;
  const made = new Worker(
    socket,
    {
      connectionId: id,
      instanceId: id,
      apps: { app: { group: 'g', sync: 's' } },
      maxConcurrency: 0,
      status: 'ready',
      sdkLanguage: 'go',
      sdkVersion: '1',
      system: { cpuCores: 2, memBytes: 3, os: 'linux' },
      ...note,
    },
    1_700_000_000_250,
  );
  for (let i = 0; i < busy; i++) made.requests.add(`r${i}`);
  return made;
}

describe('which worker gets the next request', () => {
  it('the one with most room', () => {
    const workers = [
      worker('a', { maxConcurrency: 3 }, 2),
      worker('b', { maxConcurrency: 2 }),
      worker('c', { maxConcurrency: 1 }),
    ];
    expect(chooseWorker(workers, 'app')?.note.connectionId).toBe('b');
    expect(roomFor(workers, 'app')).toBe(4);
  });

  it('among equals the one that waited longest', () => {
    const [a, b] = [worker('a'), worker('b')];
    a.lastServed = 2;
    b.lastServed = 1;
    expect(chooseWorker([a, b], 'app')).toBe(b);
  });

  it('none that is full, leaving, not ready yet, or of another app', () => {
    const workers = [
      worker('full', { maxConcurrency: 1 }, 1),
      worker('leaving', { status: 'draining' }),
      worker('early', { status: 'connected' }),
      worker('other', { apps: { other: { group: 'g', sync: 's' } } }),
    ];
    expect(chooseWorker(workers, 'app')).toBeNull();
    expect(roomFor(workers, 'app')).toBe(0);
  });
});

describe('a connection', () => {
  it('is noted at its socket, so that it outlives the gateway', () => {
    const made = worker('a', { status: 'connected' });
    made.become('ready');
    expect(Worker.restore(made.socket, 5)?.note).toEqual(made.note);
    expect(Worker.restore({ ...made.socket, state: '' }, 5)).toBeNull();
  });

  it('is shown as the vendor shows it, without what is zero', () => {
    expect(connectionView(worker('a'), 'gateway')).toEqual({
      id: 'a',
      gateway_id: 'gateway',
      instance_id: 'a',
      status: 1,
      last_heartbeat_at: { seconds: 1_700_000_000, nanos: 250_000_000 },
      sdk_language: 'go',
      sdk_version: '1',
      attributes: { cpu_cores: 2, mem_bytes: 3, os: 'linux' },
    });
    expect(connectionView(worker('a', { status: 'connected' }), 'g')).not.toHaveProperty('status');
  });
});
