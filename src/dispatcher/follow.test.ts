import { describe, expect, it } from 'vitest';
import type { HttpCall, HttpResult } from '../../core/ports.ts';
import { follow } from './follow.ts';

const CALL: HttpCall = {
  url: 'http://app.test/api?fnId=f&stepId=step',
  method: 'POST',
  headers: [['x-inngest-signature', 't=1&s=2']],
  body: '{}',
  timeoutMs: 1_000,
  maxResponseBytes: 100,
};

function answer(status: number, location?: string, durationMs = 10): HttpResult {
  const headers: Array<[string, string]> = location === undefined ? [] : [['Location', location]];
  return { ok: true, status, headers, body: new Uint8Array(), truncated: false, durationMs };
}

async function run(
  redirects: number | undefined,
  answers: HttpResult[],
): Promise<{ result: HttpResult; sent: HttpCall[] }> {
  const sent: HttpCall[] = [];
  const result = await follow({ ...CALL, ...(redirects === undefined ? {} : { redirects }) }, (hop) => {
    sent.push(hop);
    return Promise.resolve(answers[sent.length - 1] as HttpResult);
  });
  return { result, sent };
}

describe('a redirect', () => {
  it('is an answer like any other where none is allowed', async () => {
    const { result, sent } = await run(undefined, [answer(307, 'http://other.test/')]);
    expect([result.ok && result.status, sent.length]).toEqual([307, 1]);
  });

  it('gets the same request at the next address, with the query of the first', async () => {
    const { result, sent } = await run(5, [
      answer(303, '/moved?a=1'),
      answer(307, 'https://other.test/x'),
      answer(200),
    ]);
    expect(result).toMatchObject({ ok: true, status: 200, durationMs: 30 });
    expect(sent.map(({ url }) => url)).toEqual([
      CALL.url,
      'http://app.test/moved?a=1&fnId=f&stepId=step',
      'https://other.test/x?a=1&fnId=f&stepId=step',
    ]);
    expect(
      sent.every(({ method, body, headers }) => method === 'POST' && body === '{}' && headers === CALL.headers),
    ).toBe(true);
    expect(sent.map(({ timeoutMs }) => timeoutMs)).toEqual([1_000, 990, 980]);
  });

  it('is followed as often as allowed, and while there is time', async () => {
    const loop = Array.from({ length: 9 }, () => answer(302, 'http://app.test/again'));
    expect((await run(3, loop)).sent.length).toBe(4);
    const slow = Array.from({ length: 9 }, () => answer(302, 'http://app.test/again', 600));
    expect((await run(9, slow)).sent.length).toBe(2);
  });

  it('that names no address, or a refused one, ends it', async () => {
    expect((await run(3, [answer(302)])).sent.length).toBe(1);
    const refused: HttpResult = { ok: false, code: 'refused-destination', message: 'private', durationMs: 0 };
    expect((await run(3, [answer(302, 'http://10.0.0.1/'), refused])).result).toMatchObject({
      code: 'refused-destination',
    });
  });
});
