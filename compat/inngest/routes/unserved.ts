import { unserved } from '../errors.ts';
import type { RouteContext } from '../http.ts';

/** Routes of the vendor that this server knows of and does not serve, with the vendor's first API error shape. */
export const UNSERVED_V1: ReadonlyArray<readonly [method: string, path: string, what: string]> = [
  ['POST', '/v0/telemetry', 'Telemetry'],
  ['ALL', '/v1/realtime/*', 'This part of realtime'],
  ['GET', '/v1/prom/:env', 'Metrics of an environment'],
];

/** The same of the second API, under its base. The vendor's own open-source server answers these so too, the sandboxes excepted, which it has not at all. */
export const UNSERVED_V2: ReadonlyArray<readonly [method: string, path: string]> = [
  ['ALL', '/account'],
  ['ALL', '/partner/accounts'],
  ['ALL', '/partner/accounts/*'],
  ['POST', '/envs'],
  ['ALL', '/envs/*'],
  ['ALL', '/env/webhooks'],
  ['ALL', '/env/webhooks/*'],
  ['ALL', '/sandboxes'],
  ['ALL', '/sandboxes/*'],
  ['ALL', '/snapshots'],
  ['ALL', '/snapshots/*'],
  ['ALL', '/insights/*'],
  ['ALL', '/experiments'],
  ['ALL', '/experiments/*'],
  ['ALL', '/sessions'],
  ['ALL', '/sessions/*'],
  ['ALL', '/operations'],
];

export function refuseV1(what: string): () => never {
  return () => {
    throw unserved(what);
  };
}

export function refuseV2(c: RouteContext): Response {
  const message = `${c.req.method} ${c.req.path} is not served by this server.`;
  return c.json({ errors: [{ code: 'not_implemented', message }] }, 501);
}
