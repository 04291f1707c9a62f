import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { errorCodeOf, errorMessageOf } from '../../core/model/errors.ts';
import type { RouteEnv } from '../../core/ports.ts';
import { verifyGrant } from '../blobs/presign.ts';
import { secretOf } from '../blobs/secret.ts';

export const BLOB_SECRET = 'blobs';

/** Files by presigned address: the signature is the whole credential, so browsers may use it too. */
export function blobRoutes(isInUse: (environment: string) => Promise<boolean>): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  app.use(cors({ origin: '*', allowMethods: ['GET', 'PUT'], maxAge: 86_400 }));
  app.on(['GET', 'PUT'], '/:environment/:key{.+}', async (c) => {
    const { environment, key } = c.req.param();
    const host = c.get('host');
    // A made-up name makes nothing.
    if (!(await isInUse(environment))) return c.json({ error: 'there is no such file' }, 404);
    const secret = await secretOf(environment, host.cell(environment), BLOB_SECRET);
    const request = { method: c.req.method, environment, key, query: c.req.query() };
    const grant = await verifyGrant(secret, request, Date.now());
    if (!grant) return c.json({ error: 'this address is not valid (any more): ask for a new one' }, 403);
    const blobs = host.blobs(environment);
    if (grant.method === 'GET') {
      const blob = await blobs.get(key);
      if (!blob) return c.json({ error: 'there is no such file' }, 404);
      return new Response(blob.body, {
        headers: {
          'content-type': blob.contentType ?? 'application/octet-stream',
          'x-content-type-options': 'nosniff',
          'content-disposition': 'attachment',
          'cache-control': 'private, no-store',
        },
      });
    }
    try {
      const contentType = c.req.header('content-type');
      await blobs.put(key, c.req.raw.body ?? '', {
        maxBytes: grant.maxBytes,
        ...(contentType === undefined ? {} : { contentType }),
      });
    } catch (error) {
      if (errorCodeOf(error) !== 'payload-too-large') throw error;
      return c.json({ error: errorMessageOf(error) }, 413);
    }
    return c.body(null, 200);
  });
  return app;
}
