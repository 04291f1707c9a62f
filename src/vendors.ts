import type { Hono } from 'hono';
import { inngestExecutor, inngestRoutes, inngestTranslator } from '../compat/inngest/index.ts';
import { qstashExecutor, qstashRoutes, qstashTranslator } from '../compat/qstash/index.ts';
import { EXECUTOR as TRIGGER, triggerRoutes, triggerTranslator } from '../compat/trigger/index.ts';
import type { PushExecutor, RouteEnv, Translator } from '../core/ports.ts';

/** The one list of what is compatible with what; the order is that of route matching. */
export const VENDOR_ROUTES: Array<() => Hono<RouteEnv>> = [inngestRoutes, qstashRoutes, triggerRoutes];

/** By executor name, see TaskSpec.executor. */
export const EXECUTORS: Readonly<Record<string, PushExecutor>> = { inngest: inngestExecutor, qstash: qstashExecutor };
export const TRANSLATORS: Readonly<Record<string, Translator>> = {
  inngest: inngestTranslator,
  qstash: qstashTranslator,
  [TRIGGER]: triggerTranslator,
};
