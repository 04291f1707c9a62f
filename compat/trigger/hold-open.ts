import type { LeasedCall } from '../../core/model/call.ts';
import type { CellApi } from '../../core/ports.ts';

/** How often an open request is looked at for whether its worker is still there. */
const TICK_MS = 250;
/** A request that was answered sooner than this has not been left meanwhile. */
const FRESH_MS = 20;
/** Time for the news of a closed connection to arrive: at once on the same machine. */
const PROBE_MS = 3;
const BLANK = new TextEncoder().encode(' ');

/**
 * An answer of JSON that is preceded by blanks while there is nothing to say: only by writing does the platform find out that the client has
 * gone, and a run handed to nobody would wait for its lease to end. `patient`: asks again and again until there is something, or until it holds no
 * more.
 */
export function holdOpen(
  cell: CellApi,
  take: () => Promise<LeasedCall[]>,
  render: (calls: LeasedCall[]) => string,
  patient: () => boolean = () => false,
): { response: Response; done: Promise<void> } {
  const encoder = new TextEncoder();
  let gone = false;
  let done: Promise<void> = Promise.resolve();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const ticker = setInterval(() => {
        if (!gone) controller.enqueue(BLANK);
      }, TICK_MS);
      const askedAt = Date.now();
      done = (async () => {
        let calls: LeasedCall[];
        for (;;) {
          // An engine that cannot answer now is asked again, by the next request or after a pause.
          calls = await take().catch(() => []);
          if (calls.length > 0 || !patient() || gone) break;
          await pause(TICK_MS);
        }
        clearInterval(ticker);
        // A last look before runs leave for somebody who may have gone since the last blank.
        if (calls.length > 0 && !gone && Date.now() - askedAt >= FRESH_MS) {
          controller.enqueue(BLANK);
          await pause(PROBE_MS);
        }
        if (gone) {
          if (calls.length > 0) await giveBack(cell, calls);
          return;
        }
        controller.enqueue(encoder.encode(render(calls)));
        controller.close();
      })();
    },
    cancel() {
      gone = true;
    },
  });
  return { response: new Response(body, { headers: { 'content-type': 'application/json' } }), done };
}

async function giveBack(cell: CellApi, calls: LeasedCall[]): Promise<void> {
  await cell.apply(calls.map(({ run, lease }) => ({ type: 'extend' as const, run, lease, untilMs: 0 })));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
