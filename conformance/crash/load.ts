import type { Ledger, LoadName } from './ledger.ts';

/** One vendor's wire format, spoken by a few lines instead of an SDK, so that the load is the server's and not the SDK's. */
export interface Load {
  name: LoadName;
  /** Opens the app or worker and registers it. */
  start(url: string): Promise<void>;
  /** Hands one piece of work to the server. Resolves when it was acknowledged; throws when it was not. */
  submit(key: string): Promise<void>;
  /** What the server itself says of the work: done, and how. */
  confirm(serverId: string): Promise<{ done: boolean; detail: string }>;
  /** Whether the server's own books of all that it has are even, at the end. */
  books?(): Promise<Books[]>;
  stop(): Promise<void>;
}

export interface Books {
  /** The equation with its numbers. */
  title: string;
  failures: string[];
}

export class Refused extends Error {}

/** @throws Refused for an answer that is not 2xx, whatever `fetch` throws when there is none */
export async function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Refused(`POST ${new URL(url).pathname}: ${response.status} ${text.slice(0, 300)}`);
  return text === '' ? null : JSON.parse(text);
}

export interface LoadShape {
  /** Requests at once. */
  width: number;
  pauseMs: number;
  /** Acknowledged and unfinished work above which nothing more is submitted. */
  maxOpen: number;
}

/** Submits work until stopped, whether the server is there or not. */
export function keepBusy(
  load: Load,
  ledger: Ledger,
  { width, pauseMs, maxOpen }: LoadShape,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  let serial = 0;
  const worker = async (lane: number): Promise<void> => {
    while (!stopping.signal.aborted) {
      if (ledger.openOf(load.name) >= maxOpen) {
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        continue;
      }
      const key = `${load.name}-${lane}-${serial++}`;
      try {
        await load.submit(key);
      } catch (error) {
        if (error instanceof Refused) {
          if (ledger.refused++ === 0) console.log(`  refused: ${error.message}`);
        } else ledger.unanswered++;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const lanes = Array.from({ length: width }, (_, lane) => worker(lane));
  return {
    async stop() {
      stopping.abort();
      await Promise.all(lanes);
    },
  };
}
