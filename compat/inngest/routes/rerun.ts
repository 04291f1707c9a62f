import * as z from 'zod';
import { rerunRun } from '../actions.ts';
import { InngestError } from '../errors.ts';
import { cellOf, parseJson, readText } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2, member } from '../http-v2.ts';
import { neededRun } from './v2-runs.ts';

const MAX_BODY_BYTES = 5 * 1_048_576;
const StepSchema = z.string().min(1).max(512);

/** POST /v2/runs/:run/rerun: a new run with the same event; with `fromStep: {stepId, input?}` also with the results of all steps before that one. */
export async function rerun(c: RouteContext): Promise<Response> {
  const run = await neededRun(c);
  const text = await readText(c, MAX_BODY_BYTES);
  const body: unknown = text.trim() === '' ? {} : parseJson(text);
  const from = member(body, 'fromStep');
  const made = await rerunRun(cellOf(c), run, from === undefined || from === null ? null : fromStep(from));
  return answerV2(c, { runId: made, originalRunId: run.id }, undefined, 202);
}

function fromStep(value: unknown): { step: string; input?: string } {
  const named = member(value, 'stepId') ?? (value as { stepID?: unknown }).stepID;
  const step = StepSchema.safeParse(named);
  if (!step.success) throw new InngestError(400, 'invalid_request', 'fromStep.stepId is missing.');
  const input = member(value, 'input');
  if (input === undefined || input === null) return { step: step.data };
  return { step: step.data, input: typeof input === 'string' ? input : JSON.stringify(input) };
}
