import type { StepEntry } from '../../core/model/call.ts';
import type { JsonText } from '../../core/model/payload.ts';
import { canonicalJson } from './canonical.ts';
import { textOf } from './events.ts';
import { readMeta } from './step-meta.ts';

export const INVOKE_TIMEOUT_ERROR = canonicalJson({
  error: 'InngestInvokeTimeoutError: Timed out waiting for invoked function to complete',
  message: 'Timed out waiting for invoked function to complete',
  name: 'InngestInvokeTimeoutError',
});
const INVOKE_TIMEOUT = `{"error":${INVOKE_TIMEOUT_ERROR}}`;

/** The vendor's words (inngest/inngest-js: packages/inngest/src/test/integration/stepInvokeCancel.test.ts). */
const INVOKE_CANCELLED = canonicalJson({
  error: { message: 'Invoked function was cancelled', name: 'NonRetriableError' },
});

/** A finished step as the SDK finds it in `steps` (inngest/inngest: pkg/execution/driver). Canonical text. */
export function memoOf(step: StepEntry): JsonText {
  const data = step.data === null ? 'null' : textOf(step.data);
  switch (step.source) {
    case 'call':
      if (step.error) return `{"error":${data}}`;
      // The opcode of old SDKs carries its own wrapping.
      return step.meta?.includes('"o":"Step"') ? data : `{"data":${data}}`;
    case 'sleep':
      return 'null';
    case 'event':
      return data;
    case 'timeout':
      return readMeta(step.meta).o === 'InvokeFunction' ? INVOKE_TIMEOUT : 'null';
    case 'run':
      if (!step.error) return `{"data":${data}}`;
      if (step.data !== null) return `{"error":${data}}`;
      return uninvoked(step.from?.reason ?? null, readMeta(step.meta).f ?? '');
    case 'token':
      return `{"data":{"data":${data},"signal":${JSON.stringify(readMeta(step.meta).s ?? '')}}}`;
  }
}

/** Why an invocation has no result. The vendor's words: the SDKs' own tests compare them. */
function uninvoked(reason: string | null, functionId: string): JsonText {
  switch (reason) {
    case 'unknown-task':
      return invokeError(`could not find function with ID: ${functionId}`);
    case 'dropped':
      return invokeError('invoked function is rate limited');
    case 'skipped':
      return invokeError('invoked function was skipped: it is paused, or another run of its singleton is under way');
    default:
      return INVOKE_CANCELLED;
  }
}

function invokeError(message: string): JsonText {
  return canonicalJson({ error: { message, name: 'Error' } });
}

/** All finished steps of a run: hashed id to memo; and the edited inputs (JSON arrays) of steps that are still to come. */
export function memosOf(steps: readonly StepEntry[], inputs?: Readonly<Record<string, JsonText>>): JsonText {
  const entries = steps.map((step): [string, string] => [step.key, memoOf(step)]);
  if (inputs) {
    const done = new Set(steps.map((step) => step.key));
    for (const [key, input] of Object.entries(inputs)) if (!done.has(key)) entries.push([key, `{"input":${input}}`]);
  }
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, memo]) => `${JSON.stringify(key)}:${memo}`).join(',')}}`;
}
