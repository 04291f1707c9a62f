import { metadata, streams, task } from '@trigger.dev/sdk';

/** Writes numbered values to its stream, as fast as they are asked for. */
export const writesStream = task({
  id: 'writes-stream',
  run: async (payload: { count: number; everyMs: number; key: string }) => {
    const { waitUntilComplete } = streams.pipe(payload.key, numbers(payload.count, payload.everyMs));
    await waitUntilComplete();
    await streams.append(payload.key, 'a part');
    return { written: payload.count };
  },
});

async function* numbers(count: number, everyMs: number): AsyncGenerator<{ n: number; text: string }> {
  for (let n = 0; n < count; n++) {
    yield { n, text: `line one of ${n}\nline two "quoted" ü` };
    if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

export const writesToParent = task({
  id: 'writes-to-parent',
  run: async (_payload: object) => {
    await streams.pipe('shared', numbers(2, 0), { target: 'parent' }).waitUntilComplete();
    return {};
  },
});

export const streamParent = task({
  id: 'stream-parent',
  run: async (_payload: object) => {
    const child = await writesToParent.triggerAndWait({});
    return { ok: child.ok };
  },
});

const question = streams.input<{ answer: string }>({ id: 'question' });
const orders = streams.input<{ order: number }>({ id: 'orders' });

/** Hears what it is sent: once, then waits on the server, then as it comes. */
export const listens = task({
  id: 'listens',
  run: async (_payload: object) => {
    await metadata.set('state', 'once').flush();
    const first = await question.once({ timeoutMs: 20_000 });
    await metadata.set('state', 'wait').flush();
    const second = await question.wait({ timeout: '1h' });
    const received: number[] = [];
    await metadata.set('state', 'on').flush();
    await new Promise<void>((resolve) => {
      orders.on(({ order }) => {
        received.push(order);
        if (received.length === 3) resolve();
      });
    });
    return {
      first: first.ok ? first.output.answer : null,
      second: second.ok ? second.output.answer : null,
      received,
    };
  },
});

export const impatient = task({
  id: 'impatient',
  run: async (_payload: object) => {
    const result = await question.wait({ timeout: '2s' });
    return { ok: result.ok };
  },
});

/** Shows its progress to whoever looks. */
export const progress = task({
  id: 'progress',
  run: async (payload: { steps: number }) => {
    for (let step = 1; step <= payload.steps; step++) {
      metadata.set('step', step);
      await metadata.flush();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    return { steps: payload.steps };
  },
});

/** More than the clients send in a request. */
export const large = task({
  id: 'large',
  run: async (payload: { text: string; grow: number }) => ({
    length: payload.text.length,
    text: 'y'.repeat(payload.grow),
  }),
});

export const largeParent = task({
  id: 'large-parent',
  run: async (payload: { size: number }) => {
    const child = await large.triggerAndWait({ text: 'x'.repeat(payload.size), grow: payload.size });
    return { length: child.ok ? child.output.length : -1, back: child.ok ? child.output.text.length : -1 };
  },
});
