import { setTimeout as delay } from 'node:timers/promises';
import { postJson, Refused } from './load.ts';
import { registration } from './trigger-registration.ts';

const RETRY = { maxAttempts: 5, minTimeoutInMs: 200, maxTimeoutInMs: 1_000, factor: 1, randomize: false };

/** What the worker is to do with one attempt: the completion without its id. */
export type Attempt = (run: { id: string; payload: string; attempt: number }) => Promise<Completion>;

export type Completion = { ok: true; output: string } | { ok: false; message: string; retryAfterMs: number };

export interface WorkerOptions {
  url: string;
  project: string;
  tasks: string[];
  run: Attempt;
  /** Called when the server has acknowledged the end of a run. */
  onFinished: (runId: string) => void;
  /** Called when the server refused a report, as it may when it has the report already and its answer was lost. */
  onRefused?: (runId: string) => void;
  /** Called when a run is handed out. */
  onDequeued?: (runId: string) => void;
  /** Runs in progress at once. */
  width?: number;
}

interface Snapshot {
  friendlyId: string;
}

interface Dequeued {
  snapshot: Snapshot;
  run: { friendlyId: string };
}

interface Started {
  snapshot: Snapshot;
  execution: { run: { id: string; payload: string }; attempt: { number: number } };
}

interface Completed {
  result: { attemptStatus: string; snapshot: Snapshot };
}

/** As the vendor's own CLI: an answer that does not come is asked for again, for some seconds. */
const RETRY_DELAYS_MS = [100, 250, 500, 1_000, 2_000, 2_000, 2_000];
const IDLE_POLL_MS = 100;

/** A worker of the `trigger dev` protocol without child processes: the server's part of a run, nothing else. */
export async function startTriggerWorker(options: WorkerOptions): Promise<{ key: string; stop(): Promise<void> }> {
  const { url, project, width = 50 } = options;
  const describe = await fetch(`${url}/api/v1/projects/${project}/dev`, {
    headers: { authorization: `Bearer tr_pat_${'w'.repeat(40)}` },
  });
  if (!describe.ok) throw new Error(`the project ${project} was refused: ${describe.status} ${await describe.text()}`);
  const { apiKey } = (await describe.json()) as { apiKey: string };
  const headers = { authorization: `Bearer ${apiKey}` };
  const registered = (await postJson(
    `${url}/api/v1/projects/${project}/background-workers`,
    registration(options.tasks, 'lean-worker', RETRY),
    headers,
  )) as {
    id: string;
  };

  const stopping = new AbortController();
  const busy = new Set<Promise<void>>();
  const polling = (async () => {
    while (!stopping.signal.aborted) {
      const messages = await dequeue().catch(() => []);
      for (const message of messages) {
        const work = perform(message).catch((error: unknown) => {
          if (error instanceof Refused) options.onRefused?.(message.run.friendlyId);
        });
        busy.add(work);
        void work.finally(() => busy.delete(work));
      }
      if (messages.length === 0) await delay(IDLE_POLL_MS);
      while (busy.size >= width) await Promise.race(busy);
    }
  })();

  async function dequeue(): Promise<Dequeued[]> {
    const body = { currentWorker: registered.id, oldWorkers: [] };
    const { dequeuedMessages } = (await postJson(`${url}/engine/v1/dev/dequeue`, body, headers)) as {
      dequeuedMessages: Dequeued[];
    };
    return dequeuedMessages;
  }

  async function perform({ run, snapshot }: Dequeued): Promise<void> {
    options.onDequeued?.(run.friendlyId);
    let current = snapshot;
    for (;;) {
      const path = `${url}/engine/v1/dev/runs/${run.friendlyId}/snapshots`;
      const started = (await persistently(() =>
        postJson(`${path}/${current.friendlyId}/attempts/start`, { isWarmStart: true }, headers),
      )) as Started;
      const { payload } = started.execution.run;
      const completion = await options.run({ id: run.friendlyId, payload, attempt: started.execution.attempt.number });
      const body = { completion: render(run.friendlyId, completion) };
      const { result } = (await persistently(() =>
        postJson(`${path}/${started.snapshot.friendlyId}/attempts/complete`, body, headers),
      )) as Completed;
      if (result.attemptStatus === 'RUN_FINISHED') options.onFinished(run.friendlyId);
      if (result.attemptStatus !== 'RETRY_IMMEDIATELY') return;
      current = result.snapshot;
      if (!completion.ok) await delay(completion.retryAfterMs);
    }
  }

  return {
    key: apiKey,
    async stop() {
      stopping.abort();
      await Promise.race([polling, delay(2_000, undefined, { ref: false })]);
      await Promise.race([Promise.all(busy), delay(2_000, undefined, { ref: false })]);
    },
  };
}

function render(id: string, completion: Completion): unknown {
  const usage = { durationMs: 1 };
  if (completion.ok) return { ok: true, id, output: completion.output, outputType: 'application/json', usage };
  const error = { type: 'BUILT_IN_ERROR', name: 'Error', message: completion.message, stackTrace: '' };
  const retry = { timestamp: Date.now() + completion.retryAfterMs, delay: completion.retryAfterMs };
  return { ok: false, id, error, retry, usage };
}

async function persistently(request: () => Promise<unknown>): Promise<unknown> {
  for (const pauseMs of RETRY_DELAYS_MS) {
    try {
      return await request();
    } catch (error) {
      if (error instanceof Refused) throw error;
      await delay(pauseMs);
    }
  }
  return request();
}
