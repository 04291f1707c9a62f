import { serverKind } from '../auth.ts';
import { InngestError } from '../errors.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { registerApp } from '../registration.ts';
import { RegisterSchema, explain, withKnownNames } from '../schema.ts';

/** A registration: a thousand functions with all they may say. */
const MAX_BODY_BYTES = 8 * 1_048_576;

/** POST /fn/register: an app tells all its functions; those it no longer tells are removed. */
export async function register(c: RouteContext): Promise<Response> {
  const { context } = c.var.host;
  const expected = c.req.header('x-inngest-expected-server-kind');
  const kind = serverKind(context);
  if (expected !== undefined && expected !== '' && expected !== kind) {
    throw new InngestError(
      400,
      'invalid_request',
      `The app expects a ${expected} server, this is a ${kind} server: check INNGEST_DEV and INNGEST_BASE_URL of the app.`,
    );
  }
  const parsed = RegisterSchema.safeParse(withKnownNames(await readJson(c, MAX_BODY_BYTES)));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The registration is invalid: ${explain(parsed.error)}.`);
  return c.json({ ok: true, ...(await registerApp(cellOf(c), parsed.data, context)) });
}
