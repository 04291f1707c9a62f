import { serverKind } from '../auth.ts';
import { InngestError } from '../errors.ts';
import { uuidOf } from '../hex.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { groupOf } from '../names.ts';
import { appIdOf, toTasks } from '../registration.ts';
import { RegisterSchema, explain } from '../schema.ts';

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
  const parsed = RegisterSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The registration is invalid: ${explain(parsed.error)}.`);
  const request = parsed.data;
  const tasks = await toTasks(request, context);
  const [result] = await cellOf(c).apply([{ type: 'register', group: groupOf(request.appName), tasks, replace: true }]);
  if (result?.type !== 'register') throw new Error('the engine did not answer a registration');
  const versions = JSON.stringify(Object.entries(result.versions).sort());
  return c.json({
    ok: true,
    modified: result.modified,
    app_id: await appIdOf(request.appName),
    sync_id: await uuidOf(`inngest sync ${request.appName} ${versions}`),
  });
}
