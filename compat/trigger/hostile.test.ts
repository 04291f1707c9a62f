import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Session, task } from './testing/session.ts';

/** Held open, or over ports that these tests have not: tested beside them. */
const ELSEWHERE = /^\/(realtime|socket\.io)|presence|packets|input-streams/;

/** Member names that the bodies know, so that nonsense gets past the first look. */
const NAMES = [
  ...['payload', 'options', 'tags', 'queue', 'delay', 'ttl', 'metadata', 'operations', 'items', 'runCount', 'task'],
  ...['cron', 'deduplicationKey', 'timezone', 'action', 'filter', 'runIds', 'completion', 'ok', 'error', 'retry'],
  ...['date', 'timeout', 'idempotencyKey', 'idempotencyKeyTTL', 'name', 'value', 'variables', 'scopes', 'index'],
  ...['parentRunId', 'resumeParentOnCompletion', 'debounce', 'concurrencyKey', 'machine', 'priority', 'type', 'key'],
  ...['currentWorker', 'runFriendlyIds', 'taskIdentifier', 'resourceSpans', 'resourceLogs', 'concurrencyLimit'],
];
const RUN = 'run_01h00000000000000000000000';
const leaf = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1e308, NaN, '', ' ', '1h', '* * * * *', RUN, 'work', '{"json":1}', '__proto__'),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.integer(),
);
const { body } = fc.letrec((tie) => ({
  body: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('body'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...NAMES), tie('body'), { maxKeys: 5 }),
  ),
}));
const text = fc.oneof(
  { weight: 6, arbitrary: body.map((value) => JSON.stringify(value) ?? '') },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 1, arbitrary: fc.constantFrom('{', '[[', '"\\ud800"', '{"a":1}\n{"index":', '\u0000') },
);
const segment = fc.oneof(
  fc.constantFrom(
    'work',
    RUN,
    'proj_test',
    'dev',
    'batch_1',
    'sched_1',
    'waitpoint_1',
    'bulk_1',
    '%252F',
    '..%2f..',
    '%F0%9F',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).map((raw) => encodeURIComponent(raw.toWellFormed())),
);
const query = fc.oneof(
  fc.constant(''),
  fc
    .record({
      name: fc.constantFrom(
        'page[size]',
        'page[after]',
        'filter[status]',
        'filter[createdAt][from]',
        'perPage',
        'page',
        'status',
      ),
      value: fc.oneof(fc.constantFrom('-1', '0', '1e9', 'x', RUN), fc.string({ maxLength: 8 })),
    })
    .map(({ name, value }) => `?${encodeURIComponent(name)}=${encodeURIComponent(value.toWellFormed())}`),
);

describe('whatever is sent', () => {
  const session = new Session();
  const routes = session.app.routes
    .filter(({ method, path }) => method !== 'ALL' && !path.includes('*') && !ELSEWHERE.test(path))
    .map(({ method, path }) => ({ method, path: path.replace(':signal{', 'traces{').replaceAll(/\{[^}]*\}/g, '') }));
  const unique = [...new Map(routes.map((route) => [`${route.method} ${route.path}`, route])).values()];

  it.each(unique)(
    '$method $path answers, never with a failure of its own, and in its one shape',
    async ({ method, path }) => {
      const s = new Session();
      await s.register([task('work'), task('cron', { triggerSource: 'schedule' })]);
      const run = await s.trigger();
      await fc.assert(
        fc.asyncProperty(
          fc.array(segment, { minLength: 6, maxLength: 6 }),
          text,
          query,
          async (parts, sent, search) => {
            let i = 0;
            const url = path.replaceAll(/:[a-z]+/gi, (name) =>
              name === ':run' && i === 0 ? run : (parts[i++] ?? 'x'),
            );
            const response = await s.app.request(`${url}${search}`, {
              method,
              headers: { authorization: 'Bearer tr_dev_ref_proj_test', 'content-type': 'text/plain' },
              ...(method === 'GET' || method === 'HEAD' ? {} : { body: sent }),
            });
            const answer = await response.text();
            expect(response.status, `${method} ${url}${search} ${sent}: ${answer}`).not.toBe(500);
            if (response.status >= 400) expect(typeof (JSON.parse(answer) as { error: unknown }).error).toBe('string');
          },
        ),
        { numRuns: 60 },
      );
      // The run that was there is there, and nothing half done stands in its way.
      s.t.restart();
      expect((await s.run(run)).id).toBe(run);
    },
    20_000,
  );

  it('covers every route that is served', () => {
    expect(unique.length).toBeGreaterThan(60);
  });
});
