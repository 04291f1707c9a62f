import * as z from 'zod';
import { InngestError } from '../errors.ts';
import { cellOf, envelope, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { tokenOf } from '../names.ts';
import { valueText } from '../opcode.ts';
import { explain } from '../schema.ts';

/** As for one event. */
const MAX_BODY_BYTES = 3 * 1_048_576;
const SignalSchema = z.looseObject({ signal: z.string().min(1).max(512), data: z.unknown().optional() });

/** POST /v1/signals: resumes the run that waits for it; 404 when none does. */
export async function sendSignal(c: RouteContext): Promise<Response> {
  const parsed = SignalSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The signal is invalid: ${explain(parsed.error)}.`);
  const { signal, data } = parsed.data;
  const [result] = await cellOf(c).apply([
    { type: 'complete-token', token: tokenOf(signal), data: valueText(data ?? null) },
  ]);
  if (result?.type !== 'complete-token') throw new Error('the engine did not answer a signal');
  const run = result.waiters[0]?.run;
  if (run === undefined) throw new InngestError(404, 'signal_not_found', `No run waits for the signal "${signal}".`);
  return envelope(c, JSON.stringify({ run_id: run }));
}
