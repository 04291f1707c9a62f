import { readBounded } from '../../core/net/bounded-body.ts';
import { refusal } from '../../core/net/destination.ts';
import type { CellApi, EnvironmentContext } from '../../core/ports.ts';
import { serverKind, signingKeys } from './auth.ts';
import { allApps } from './apps.ts';
import { canonicalJson } from './canonical.ts';
import { InngestError } from './errors.ts';
import { parseJson } from './http.ts';
import { registerApp } from './registration.ts';
import { RegisterSchema, explain } from './schema.ts';
import { sign } from './signature.ts';
import * as z from 'zod';

const MAX_ANSWER_BYTES = 8 * 1_048_576;
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const AnswerSchema = RegisterSchema.omit({ appName: true }).extend({ app_id: z.string().min(1) });

export interface Synced {
  /** Name of the app; null when it registered by a request of its own, at another URL than the one that was asked. */
  app: string | null;
  modified: boolean;
  /** What the app says of its own configuration, where it answered in-band. */
  inspection: unknown;
}

/**
 * Asks the app at this URL for its functions, in the answer itself (in-band), so that the app need not reach this server. An app that
 * registers by a request of its own instead has done so when it answers. Throws InngestError. `expected`: the app's name.
 */
export async function syncUrl(
  cell: CellApi,
  context: EnvironmentContext,
  url: string,
  expected: string | null,
): Promise<Synced> {
  const answer = await askApp(context, url);
  if (!answer.inBand) {
    const { modified } = (answer.body ?? {}) as { modified?: unknown };
    const app = (await allApps(cell)).find((one) => one.url === url);
    return { app: app?.name ?? expected, modified: modified === true, inspection: null };
  }
  const parsed = AnswerSchema.safeParse(answer.body);
  if (!parsed.success)
    throw new InngestError(422, 'invalid_answer', `The app's answer is invalid: ${explain(parsed.error)}.`);
  const name = parsed.data.app_id;
  if (expected !== null && expected !== name)
    throw new InngestError(422, 'invalid_answer', `The app at this URL is "${name}", not "${expected}".`);
  const { modified } = await registerApp(cell, { ...parsed.data, appName: name }, context);
  return { app: name, modified, inspection: parsed.data['inspection'] ?? null };
}

async function askApp(context: EnvironmentContext, url: string): Promise<{ inBand: boolean; body: unknown }> {
  const body = canonicalJson({ url });
  const response = await requestApp(context, url, 'PUT', body, {
    'content-type': 'application/json',
    'x-inngest-sync-kind': 'in_band',
  });
  const bytes = await readBounded(response.body, MAX_ANSWER_BYTES);
  const text = new TextDecoder().decode(bytes ?? undefined);
  if (response.status === 401)
    throw new InngestError(
      422,
      'app_refused',
      `The app at ${url} does not accept this server's signature: compare INNGEST_SIGNING_KEY of both${
        signingKeys(context).length === 0 ? ' (this server has none)' : ''
      }.`,
    );
  if (!response.ok || bytes === null) {
    const said = bytes === null ? `more than ${MAX_ANSWER_BYTES} bytes` : text.slice(0, 500);
    throw new InngestError(422, 'app_refused', `The app answered ${response.status}: ${said}`);
  }
  return { inBand: response.headers.get('x-inngest-sync-kind') === 'in_band', body: parseAnswer(url, text) };
}

function parseAnswer(url: string, text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    throw new InngestError(
      422,
      'app_refused',
      `What answers at ${url} is no Inngest handler: it sent ${JSON.stringify(text.slice(0, 200))}. Is the path right (often /api/inngest)?`,
    );
  }
}

/**
 * A request of the server's own to an app, signed where there is a key; redirects are followed as those of calls are (inngest/inngest:
 * tests/golang/redirect_test.go), and each address is looked at before it is called. Throws InngestError when the app cannot be reached.
 */
export async function requestApp(
  context: EnvironmentContext,
  url: string,
  method: string,
  body: string | null,
  headers: Record<string, string> = {},
): Promise<Response> {
  const key = signingKeys(context)[0];
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const sent = {
    ...headers,
    'x-inngest-server-kind': serverKind(context),
    ...(key === undefined ? {} : { 'x-inngest-signature': await sign(key, body ?? '', context.wallClockMs()) }),
  };
  for (let hop = url, left = MAX_REDIRECTS; ; left--) {
    const refused = refusal(hop, context.mode, context.vars['REPOINT_ALLOW_PRIVATE'] === '1');
    if (refused !== null) throw new InngestError(422, 'app_unreachable', `The app is not called: ${refused}.`);
    try {
      const response = await fetch(hop, { method, body, redirect: 'manual', signal, headers: sent });
      const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
      if (left === 0 || location === null || !URL.canParse(location, hop)) return response;
      await response.body?.cancel();
      hop = new URL(location, hop).href;
    } catch (error) {
      throw new InngestError(
        422,
        'app_unreachable',
        `The app at ${hop} could not be reached: ${error instanceof Error ? error.message : String(error)}. Does it run, and is the address one that this server can reach?`,
      );
    }
  }
}
