import { Hono } from 'hono';
import { DEFAULT_ENVIRONMENT, isEnvironmentName } from '../../core/model/placement.ts';
import type { RouteEnv } from '../../core/ports.ts';
import type { Bindings } from '../bindings.ts';
import { contextOf } from '../context.ts';
import { keysOf, keyVersionOf } from '../environments/keys.ts';
import { environmentsInUse } from '../environments/registry.ts';
import { sameText } from './same-text.ts';

/**
 * `GET /api/environments` lists those in use; `GET /api/environments/:name/keys` shows the keys of one. For holders of the default environment's key,
 * and for whoever has the launcher's token: `repoint keys` reads it where the data is.
 */
export function environmentRoutes(env: Bindings): Hono<RouteEnv> {
  const app = new Hono<RouteEnv>();
  app.use(async (c, next) => {
    const { mode, vars } = contextOf(env);
    if (mode === 'production') {
      const given = c.req.header('authorization') ?? '';
      const keys = [vars.REPOINT_API_KEY, vars.REPOINT_INTERNAL_TOKEN].filter((key) => key !== undefined && key !== '');
      const matches = await Promise.all(keys.map((key) => sameText(given, `Bearer ${key}`)));
      if (!matches.includes(true))
        return c.json({ error: 'send the REPOINT_API_KEY of the default environment as a bearer token' }, 401);
    }
    return next();
  });
  app.get('/', async (c) => c.json({ items: (await environmentsInUse(env)).map((name) => ({ name })) }));
  app.get('/:name/keys', async (c) => {
    const name = c.req.param('name');
    if (!isEnvironmentName(name) || name === DEFAULT_ENVIRONMENT)
      return c.json(
        {
          error:
            name === DEFAULT_ENVIRONMENT
              ? 'the default environment has the keys that you set as variables of the server'
              : 'an environment is named by up to 40 small letters, digits and hyphens, a letter first',
        },
        400,
      );
    const variables = await keysOf(env, name);
    if (!variables)
      return c.json(
        { error: 'further environments need REPOINT_ROOT_SECRET on the server: 32 random characters or more' },
        409,
      );
    const shown = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
    c.header('cache-control', 'no-store');
    return c.json({
      environment: name,
      keyVersion: keyVersionOf(contextOf(env)),
      url: c.get('host').context.serverUrl,
      variables: shown,
    });
  });
  return app;
}
