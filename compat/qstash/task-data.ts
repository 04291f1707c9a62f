import type { JsonText } from '../../core/model/payload.ts';
import type { EnvironmentContext } from '../../core/ports.ts';
import { configuredKeys, type SigningKeys } from './auth.ts';

/** What the message and workflow tasks carry to every delivery: signing keys that were rotated over the API. */
export interface TaskData {
  rotated?: SigningKeys & {
    /** The configured keys when they were rotated: with other ones the configuration counts again. */
    of: SigningKeys;
  };
}

export function parseTaskData(data: JsonText): TaskData {
  return JSON.parse(data) as TaskData;
}

/** The keys that sign now: the rotated ones, as long as the configuration is what it was then. Null: production without configuration. */
export function signingKeys(context: EnvironmentContext, data: JsonText): SigningKeys | null {
  const configured = configuredKeys(context);
  const { rotated } = parseTaskData(data);
  if (!configured || !rotated || rotated.of.current !== configured.current || rotated.of.next !== configured.next)
    return configured;
  return { current: rotated.current, next: rotated.next };
}

/** After a rotation: the next key is the current one, and a new one follows it. */
export function rotatedKeys(context: EnvironmentContext, data: JsonText): { data: TaskData; keys: SigningKeys } | null {
  const of = configuredKeys(context);
  const before = signingKeys(context, data);
  if (!of || !before) return null;
  const keys: SigningKeys = { current: before.next, next: newKey() };
  return { data: { ...parseTaskData(data), rotated: { ...keys, of } }, keys };
}

const ALPHABET = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz123456789';
/** As long as the vendor's. */
const KEY_CHARS = 28;

function newKey(): string {
  let text = 'sig_';
  while (text.length < KEY_CHARS + 4)
    for (const byte of crypto.getRandomValues(new Uint8Array(KEY_CHARS)))
      // Bytes beyond the last whole multiple would make some letters likelier.
      if (byte < ALPHABET.length * 4 && text.length < KEY_CHARS + 4) text += ALPHABET[byte % ALPHABET.length];
  return text;
}
