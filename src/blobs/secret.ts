import type { CellApi } from '../../core/ports.ts';

const COLLECTION = '$secrets';
const secrets = new Map<string, Promise<string>>();

/** A secret of the environment's own, made at its first use and kept in its cell; read once per isolate. */
export function secretOf(environment: string, cell: CellApi, purpose: string): Promise<string> {
  const name = `${environment}\n${purpose}`;
  let secret = secrets.get(name);
  if (!secret) {
    secret = makeOrRead(cell, purpose);
    secrets.set(name, secret);
    secret.catch(() => secrets.delete(name));
  }
  return secret;
}

async function makeOrRead(cell: CellApi, purpose: string): Promise<string> {
  const fresh = Array.from(crypto.getRandomValues(new Uint8Array(32)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
  const data = JSON.stringify({ secret: fresh });
  const [put] = await cell.apply([{ type: 'put-record', collection: COLLECTION, id: purpose, data, ifAbsent: true }]);
  return (JSON.parse(put?.type === 'put-record' ? put.data : data) as { secret: string }).secret;
}
