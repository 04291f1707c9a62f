import { unserved } from '../errors.ts';
import type { RouteContext } from '../http.ts';

/** Routes of the vendor that this server knows of and does not serve, with the vendor's first API error shape. */
export const UNSERVED_V1: ReadonlyArray<readonly [method: string, path: string, what: string]> = [
  ['POST', '/invoke/:slug', 'Invoking a function over HTTP'],
  ['DELETE', '/fn/remove', 'Removing an app'],
  ['ALL', '/fn/step-limit', 'Overriding a step limit'],
  ['ALL', '/fn/state-size-limit', 'Overriding a state size limit'],
  ['POST', '/v0/connect/start', 'Connect'],
  ['POST', '/v0/connect/flush', 'Connect'],
  ['GET', '/v0/connect/*', 'Connect'],
  ['ALL', '/v0/gql', 'GraphQL'],
  ['POST', '/v0/telemetry', 'Telemetry'],
  ['GET', '/v1/runs/:run/jobs', 'Listing the jobs of a run'],
  ['POST', '/v1/runs/:run/metadata', 'Metadata of a run'],
  ['GET', '/v1/apps/:app/functions', 'Listing the functions of an app'],
  ['ALL', '/v1/cancellations', 'Bulk cancellation'],
  ['ALL', '/v1/cancellations/:id', 'Bulk cancellation'],
  ['POST', '/v1/checkpoint', 'A durable endpoint'],
  ['POST', '/v1/checkpoint/:run/steps', 'A durable endpoint'],
  ['GET', '/v1/checkpoint/:run/output', 'A durable endpoint'],
  ['POST', '/v1/http/runs', 'A durable endpoint'],
  ['POST', '/v1/http/runs/:run/steps', 'A durable endpoint'],
  ['GET', '/v1/http/runs/:run/output', 'A durable endpoint'],
  ['POST', '/v1/traces/userland', 'Receiving traces'],
  ['POST', '/dev/traces', 'Receiving traces'],
  ['GET', '/v1/prom/:env', 'Metrics of an environment'],
  ['ALL', '/v1/realtime/*', 'Realtime'],
];

/** The same of the second API. Paths that another wire format answers are not among them. */
export const UNSERVED_V2: ReadonlyArray<readonly [method: string, path: string]> = [
  ['ALL', '/v2/account'],
  ['ALL', '/v2/apps'],
  ['ALL', '/v2/apps/*'],
  ['ALL', '/v2/envs'],
  ['ALL', '/v2/envs/*'],
  ['ALL', '/v2/keys/events'],
  ['ALL', '/v2/keys/signing'],
  ['ALL', '/v2/runs'],
  ['ALL', '/v2/runs/*'],
  ['ALL', '/v2/sandboxes'],
  ['ALL', '/v2/sandboxes/*'],
  ['ALL', '/v2/snapshots'],
  ['ALL', '/v2/snapshots/*'],
  ['ALL', '/v2/insights/*'],
  ['POST', '/v2/events'],
];

export function refuseV1(what: string): () => never {
  return () => {
    throw unserved(what);
  };
}

export function refuseV2(c: RouteContext): Response {
  const message = `${c.req.method} ${c.req.path} is not served by this server yet.`;
  return c.json({ errors: [{ code: 'not_implemented', message }] }, 501);
}
