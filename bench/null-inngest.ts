// Answers events at once, calls the app until it has no more steps, and forgets.
import { randomUUID } from 'node:crypto';
import { send, serveNull } from './null-server.ts';

interface Registered {
  id: string;
  events: string[];
  url: string;
}

interface Opcode {
  op: string;
  id: string;
  data?: unknown;
}

interface Event {
  id?: string;
  name: string;
}

const MAX_CALLS = 100;
let functions: Registered[] = [];

async function run(fn: Registered, event: Event): Promise<void> {
  const runId = randomUUID();
  const steps: Record<string, unknown> = {};
  const stack: string[] = [];
  for (let i = 0; i < MAX_CALLS; i++) {
    const ctx = {
      run_id: runId,
      fn_id: fn.id,
      qi_id: randomUUID(),
      attempt: 0,
      max_attempts: 4,
      env: '',
      disable_immediate_execution: false,
      use_api: false,
      stack: { stack, current: stack.length },
    };
    const body = JSON.stringify({ version: 2, event, events: [event], steps, use_api: false, ctx });
    const { status, text } = await send(fn.url, body, {
      'content-type': 'application/json',
      'x-inngest-server-kind': 'dev',
    });
    if (status !== 206) return;
    let more = false;
    for (const op of JSON.parse(text) as Opcode[]) {
      if (op.op !== 'StepRun' && op.op !== 'Step') continue;
      steps[op.id] = { type: 'data', data: op.data ?? null };
      stack.push(op.id);
      more = true;
    }
    if (!more) return;
  }
}

serveNull(({ path, body }) => {
  if (path.startsWith('/e/')) {
    const parsed = JSON.parse(body) as Event | Event[];
    const events = (Array.isArray(parsed) ? parsed : [parsed]).map((event) => ({
      id: randomUUID(),
      ts: Date.now(),
      ...event,
    }));
    const after = (): void => {
      for (const event of events) for (const fn of functions) if (fn.events.includes(event.name)) void run(fn, event);
    };
    return { body: { ids: events.map((event) => event.id), status: 200 }, after };
  }
  if (path.startsWith('/fn/register')) {
    interface Config {
      id: string;
      triggers: Array<{ event: string }>;
      steps: { step: { runtime: { url: string } } };
    }
    const { functions: configs } = JSON.parse(body) as { functions: Config[] };
    functions = configs.map(({ id, triggers, steps }) => ({
      id,
      events: triggers.map((item) => item.event),
      url: steps.step.runtime.url,
    }));
    return { body: { ok: true, modified: true } };
  }
  return {};
});
