const ALIASES: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

interface Field {
  name: string;
  /** Upper bound, used to spell out `5/15` as `5-59/15`. */
  max: number;
  allowed: RegExp;
  example: string;
}

const FIELDS: readonly Field[] = [
  { name: 'minute', max: 59, allowed: /^[\d*,/-]+$/, example: '*/5' },
  { name: 'hour', max: 23, allowed: /^[\d*,/-]+$/, example: '9-17' },
  { name: 'day of month', max: 31, allowed: /^(?:[\dL*,/-]+|\?)$/, example: '1, */2 or L' },
  {
    name: 'month',
    max: 12,
    allowed: /^(?:\d|[*,/-]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)+$/,
    example: '1-6 or JAN',
  },
  {
    name: 'day of week',
    max: 6,
    allowed: /^(?:(?:[*,/-]|(?:\d|MON|TUE|WED|THU|FRI|SAT|SUN)L?)+|\?)$/,
    example: '1-5 or MON',
  },
];

export type NormalisedFields = { ok: true; fields: string } | { ok: false; error: string };

/** Spells out aliases and numeric steps and checks the shape of five fields; ranges of values are checked by the matcher. */
export function normaliseFields(text: string): NormalisedFields {
  const trimmed = text.trim();
  if (trimmed.startsWith('@')) {
    const fields = ALIASES[trimmed.toLowerCase()];
    if (fields !== undefined) return { ok: true, fields };
    return fail(`'${trimmed}' is not an alias; use ${Object.keys(ALIASES).join(' ')} or five fields`);
  }
  const parts = trimmed === '' ? [] : trimmed.toUpperCase().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    const hint = parts.length === 6 ? '; leave the seconds out' : '';
    return fail(`a cron has five fields (minute hour day month weekday), '${trimmed}' has ${parts.length}${hint}`);
  }
  const written: string[] = [];
  for (const [index, field] of FIELDS.entries()) {
    const part = parts[index] ?? '';
    if (!field.allowed.test(part)) return fail(`'${part}' is not a ${field.name}; write for example ${field.example}`);
    written.push(
      part
        .split(',')
        .map((item) => item.replace(/^(\d+)\//, `$1-${field.max}/`))
        .join(','),
    );
  }
  return { ok: true, fields: written.join(' ') };
}

function fail(error: string): { ok: false; error: string } {
  return { ok: false, error };
}
