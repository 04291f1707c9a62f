import * as z from 'zod';
import { findApp } from '../apps.ts';
import { InngestError } from '../errors.ts';
import { cellOf, readJson } from '../http.ts';
import type { RouteContext } from '../http.ts';
import { answerV2 } from '../http-v2.ts';
import { explain } from '../schema.ts';
import { syncUrl } from '../sync.ts';

const MAX_BODY_BYTES = 16_384;
/** In place of an app's name: whatever app is there. */
const ANY_APP = '-';

const SyncSchema = z.looseObject({ url: z.url({ protocol: /^https?$/ }).max(4_096) });

/** POST /v2/apps/:app/syncs: asks the app at this URL for its functions and registers them. `-` takes whatever app answers there. */
export async function syncApp(c: RouteContext): Promise<Response> {
  const parsed = SyncSchema.safeParse(await readJson(c, MAX_BODY_BYTES));
  if (!parsed.success)
    throw new InngestError(400, 'invalid_request', `The request is invalid: ${explain(parsed.error)}.`);
  const name = c.req.param('app') ?? ANY_APP;
  const synced = await syncUrl(cellOf(c), c.var.host.context, parsed.data.url, name === ANY_APP ? null : name);
  const app = synced.app === null ? null : await findApp(cellOf(c), synced.app);
  return answerV2(c, {
    appId: synced.app,
    app_id: app?.id ?? null,
    modified: synced.modified,
    inspection: synced.inspection,
  });
}
