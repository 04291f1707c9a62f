import type { ContentfulStatusCode } from 'hono/utils/http-status';
import * as z from 'zod';
import { serverKind, signingKeys } from '../auth.ts';
import { canonicalJson } from '../canonical.ts';
import { InngestError, toErrorBody } from '../errors.ts';
import { cellOf, parseJson, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { registerApp } from '../registration.ts';
import { RegisterSchema, explain } from '../schema.ts';
import { sign } from '../signature.ts';

const MAX_BODY_BYTES = 16_384;
const MAX_ANSWER_CHARS = 8 * 1_048_576;
const TIMEOUT_MS = 10_000;

const SyncSchema = z.looseObject({ url: z.url({ protocol: /^https?$/ }).max(4_096) });
const AnswerSchema = RegisterSchema.omit({ appName: true }).extend({ app_id: z.string().min(1) });

/**
 * POST /v2/apps/:app/syncs: asks the app at this URL for its functions, in the answer itself (in-band), so that the app need not
 * reach this server. An app that registers by a request of its own instead has done so when it answers.
 */
export async function syncApp(c: RouteContext): Promise<Response> {
  try {
    const parsed = SyncSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
    if (!parsed.success)
      throw new InngestError(400, 'invalid_request', `The request is invalid: ${explain(parsed.error)}.`);
    const answer = await askApp(c, parsed.data.url);
    const data = answer.inBand
      ? await registerInBand(c, answer.body)
      : { modified: (answer.body as { modified?: unknown } | null)?.modified === true };
    return c.json({ data, metadata: { fetchedAt: new Date(c.var.host.context.wallClockMs()).toISOString() } });
  } catch (error) {
    const { status, code, error: message } = toErrorBody(error);
    if (status === 500) console.error('inngest', c.req.method, c.req.path, error);
    return c.json({ errors: [{ code, message }] }, status as ContentfulStatusCode);
  }
}

async function registerInBand(c: RouteContext, body: unknown): Promise<object> {
  const parsed = AnswerSchema.safeParse(body);
  if (!parsed.success)
    throw new InngestError(422, 'invalid_answer', `The app's answer is invalid: ${explain(parsed.error)}.`);
  const app = c.req.param('app');
  if (app !== parsed.data.app_id)
    throw new InngestError(422, 'invalid_answer', `The app at this URL is "${parsed.data.app_id}", not "${app}".`);
  return registerApp(cellOf(c), { ...parsed.data, appName: parsed.data.app_id }, c.var.host.context);
}

async function askApp(c: RouteContext, url: string): Promise<{ inBand: boolean; body: unknown }> {
  const { context } = c.var.host;
  const body = canonicalJson({ url });
  const key = signingKeys(context)[0];
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-inngest-server-kind': serverKind(context),
    'x-inngest-sync-kind': 'in_band',
    ...(key === undefined ? {} : { 'x-inngest-signature': await sign(key, body, context.wallClockMs()) }),
  };
  let response: Response;
  let text: string;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(url, { method: 'PUT', headers, body, redirect: 'manual', signal });
    text = await response.text();
  } catch (error) {
    throw new InngestError(
      422,
      'app_unreachable',
      `The app could not be reached: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  if (!response.ok || text.length > MAX_ANSWER_CHARS)
    throw new InngestError(422, 'app_refused', `The app answered ${response.status}: ${text.slice(0, 500)}`);
  return { inBand: response.headers.get('x-inngest-sync-kind') === 'in_band', body: parseJson(text) };
}
