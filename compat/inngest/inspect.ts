import type { EnvironmentContext } from '../../core/ports.ts';
import { signingKeys } from './auth.ts';
import { errorMessageOf } from '../../core/model/errors.ts';
import { requestApp } from './sync.ts';
import { verify } from './signature.ts';

export interface Inspection {
  /** What the app says of its configuration (schema 2024-05-24); null: it did not. */
  introspection: unknown;
  /** Whether the app proved that it holds this server's signing key. Null: this server has none, so there is nothing to prove. */
  trusted: boolean | null;
  problems: string[];
}

/** Asks an app for its configuration by a signed GET, and probes whether it signs with the same key (wire: introspection, trust probe). */
export async function inspectApp(context: EnvironmentContext, url: string, slug: string | null): Promise<Inspection> {
  const problems: string[] = [];
  const introspection = await introspect(context, url, problems);
  const trusted = slug === null || signingKeys(context).length === 0 ? null : await probe(context, url, slug, problems);
  return { introspection, trusted, problems };
}

async function introspect(context: EnvironmentContext, url: string, problems: string[]): Promise<unknown> {
  try {
    const response = await requestApp(context, url, 'GET', null);
    const body: unknown = await response.json().catch(() => null);
    const { mode, has_signing_key: hasKey } = (body ?? {}) as { mode?: unknown; has_signing_key?: unknown };
    if (response.status === 401)
      problems.push('The app does not accept this server’s signature: compare INNGEST_SIGNING_KEY of both.');
    else if (!response.ok) problems.push(`The app answered ${response.status}.`);
    else if (context.mode === 'production' && mode === 'dev')
      problems.push('The app runs in dev mode, this server in production mode: unset INNGEST_DEV of the app.');
    else if (context.mode === 'dev' && mode === 'cloud')
      problems.push('The app runs in cloud mode, this server in dev mode: set INNGEST_DEV=1 for the app.');
    if (response.ok && context.mode === 'production' && hasKey === false)
      problems.push('The app has no signing key: set INNGEST_SIGNING_KEY of the app.');
    return response.ok ? body : null;
  } catch (error) {
    problems.push(errorMessageOf(error));
    return null;
  }
}

async function probe(context: EnvironmentContext, url: string, slug: string, problems: string[]): Promise<boolean> {
  try {
    const target = new URL(url);
    target.searchParams.set('fnId', slug);
    target.searchParams.set('probe', 'trust');
    // A body that is empty is taken for one that was lost on its way.
    const response = await requestApp(context, target.href, 'POST', '{}', { 'content-type': 'application/json' });
    const text = await response.text();
    const signature = response.headers.get('x-inngest-signature');
    const keys = signingKeys(context);
    const proven =
      response.status === 200 &&
      signature !== null &&
      (await Promise.all(keys.map((key) => verify(key, text, signature, context.wallClockMs())))).includes(true);
    if (!proven)
      problems.push(`The app did not prove that it holds this server’s signing key (it answered ${response.status}).`);
    return proven;
  } catch (error) {
    problems.push(errorMessageOf(error));
    return false;
  }
}
