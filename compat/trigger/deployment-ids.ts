import type { EnvironmentContext } from '../../core/ports.ts';
import { hex } from './ids.ts';

/**
 * `deployment_<environment>.<project>.<version>.<signature>`: a deployed worker sends nothing but this (@trigger.dev/core: WORKLOAD_HEADERS), so it
 * is its key too, and says what it may work on. Workers of one deployment share it.
 */
export interface Deployment {
  environment: string;
  project: string;
  /** YYYYMMDD.N */
  version: string;
}

const ID =
  /^deployment_([a-z][a-z0-9-]{0,39}(?:~[a-z0-9-]{1,80})?)\.([A-Za-z0-9_-]{1,100})\.(\d{8})x(\d{1,9})\.([0-9a-f]{64})$/;

/** By which a deployment is shown: unlike its signed id it is no key. */
export function shownDeploymentId(workerId: string): string {
  return `deployment_${workerId.replace(/^worker_/, '')}`;
}

export function shortCodeOf(version: string): string {
  return version.replace('.', '-');
}

export async function deploymentIdOf(deployment: Deployment, signingKey: string): Promise<string> {
  const text = textOf(deployment);
  return `${text}.${await signatureOf(text, signingKey)}`;
}

/** What a deployment's id says, unproven. */
export function peekDeployment(id: string): Deployment | null {
  const match = ID.exec(id);
  if (!match) return null;
  const [, environment = '', project = '', day = '', n = ''] = match;
  return { environment, project, version: `${day}.${n}` };
}

/** Null for an id that this environment did not sign. */
export async function verifyDeployment(
  id: string,
  signingKey: string,
  { environment }: Pick<EnvironmentContext, 'environment'>,
): Promise<Deployment | null> {
  const deployment = peekDeployment(id);
  if (!deployment || deployment.environment !== environment) return null;
  const expected = await signatureOf(textOf(deployment), signingKey);
  const given = id.slice(-expected.length);
  let difference = 0;
  for (let i = 0; i < expected.length; i++) difference |= expected.charCodeAt(i) ^ given.charCodeAt(i);
  return difference === 0 ? deployment : null;
}

function textOf({ environment, project, version }: Deployment): string {
  return `deployment_${environment}.${project}.${version.replace('.', 'x')}`;
}

async function signatureOf(text: string, signingKey: string): Promise<string> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    'raw',
    encoder.encode(signingKey),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  return hex(new Uint8Array(await crypto.subtle.sign('HMAC', key, encoder.encode(text))));
}
