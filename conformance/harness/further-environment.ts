import { randomBytes } from 'node:crypto';

/** Keys of a further environment, by the names of the variables that the vendors' SDKs read; the environment is new. */
export async function furtherEnvironment(
  url: string,
  kind: 'staging' | 'preview' | 'branch' = 'staging',
): Promise<Readonly<Record<string, string>>> {
  const name = `${kind}-${randomBytes(4).toString('hex')}`;
  const response = await fetch(`${url}/api/environments/${name}/keys`);
  const { variables } = (await response.json()) as { variables: Record<string, string> };
  return variables;
}
