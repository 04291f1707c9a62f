import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonValue } from './ast.ts';
import { bindEvent, compileExpression, equalities, evaluate, isPlain, isTrue } from './index.ts';

const NOW_MS = Date.UTC(2026, 0, 1);

/** Pieces of expressions, sensible and not, of every operator and function there is. */
const token = fc.constantFrom(
  ...'( ) [ ] { } , . ? : ! - + * / % == != < <= > >= && || in'.split(' '),
  ...'event async vars event.data event.data.a async.data["b"] x true false null'.split(' '),
  ...'0 1 -1 9223372036854775807 1u 2.5 1e308 0x1F "" "a" \'b\' r"c" b"d" "\\u00e9"'.split(' '),
  ...'has( size( all( exists( exists_one( map( filter( .contains( .startsWith( .endsWith( .matches( string( int( uint( double( bool('.split(
    ' ',
  ),
  ...'timestamp( duration( date( now() now_plus( now_minus( lowercase( uppercase( b64decode( json_parse( type( dyn('.split(
    ' ',
  ),
  '"(a+)+$"',
  '"1h"',
  '"2026-01-01T00:00:00Z"',
  'event.data.list.all(x, x > 0)',
  'event.data.list.map(x, x + 1)',
);

const soup = fc.oneof(
  fc.array(token, { maxLength: 24 }).map((tokens) => tokens.join(' ')),
  fc.array(token, { maxLength: 24 }).map((tokens) => tokens.join('')),
  fc.string({ maxLength: 200, unit: 'binary' }),
  fc.integer({ min: 1, max: 3_000 }).map((n) => '('.repeat(n) + '1' + ')'.repeat(n)),
  fc.integer({ min: 1, max: 3_000 }).map((n) => `${'!'.repeat(n)}true`),
  fc.integer({ min: 1, max: 3_000 }).map((n) => Array.from({ length: n }, () => 'event.data.a').join(' + ')),
);

const event = fc.record({
  data: fc.record({
    a: fc.jsonValue(),
    list: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 50 }),
    text: fc.string({ maxLength: 2_000 }),
  }),
}) as fc.Arbitrary<JsonValue>;

describe('whatever is given as an expression', () => {
  it('is read, bound, evaluated and looked at without throwing, in bounded time', () => {
    fc.assert(
      fc.property(soup, event, event, (source, one, other) => {
        const from = performance.now();
        const compiled = compileExpression(source);
        if (compiled.ok) {
          const inputs = { event: one, async: other, nowMs: NOW_MS };
          const whole = evaluate(compiled.expression, inputs);
          expect(typeof isTrue(compiled.expression, inputs)).toBe('boolean');
          expect(typeof isPlain(compiled.expression)).toBe('boolean');
          const bound = bindEvent(compiled.expression, one);
          if (bound.ok) {
            equalities(bound.expression);
            const again = evaluate(JSON.parse(JSON.stringify(bound.expression)) as typeof bound.expression, {
              async: other,
              nowMs: NOW_MS,
            });
            // As JSON: what is kept with a wait knows no -0.
            if (whole.ok && again.ok) expect(JSON.stringify(again.value)).toBe(JSON.stringify(whole.value));
          }
        } else expect(compiled.error.message).not.toBe('');
        // Far more than any of them takes on a machine that others share.
        expect(performance.now() - from).toBeLessThan(10_000);
      }),
      { numRuns: 1_500 },
    );
  });

  it.each([
    ['a pattern that backtracks', '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!".matches("^(a+)+$")'],
    [
      'lists within lists',
      `[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, [1,2,3,4,5,6,7,8].all(e, [1,2,3,4,5,6,7,8].all(f, true))))))`,
    ],
    ['a text that doubles', `${'('.repeat(30)}event.data.text${' + event.data.text)'.repeat(30)}`],
  ])('%s ends soon', (_what, source) => {
    const compiled = compileExpression(source);
    const from = performance.now();
    if (compiled.ok) evaluate(compiled.expression, { event: { data: { text: 'x'.repeat(100_000) } }, nowMs: NOW_MS });
    expect(performance.now() - from).toBeLessThan(5_000);
  });
});

/** The rules of npm and Go users' filters (inngest/inngest: pkg/expressions/exprenv and unknown.go), one line each. */
describe('what filters say', () => {
  const value = (source: string): unknown => {
    const compiled = compileExpression(source);
    if (!compiled.ok) return compiled.error.message;
    const data = { n: 5, text: 'Hello', list: [1, 2, 3], nil: null, json: '{"a":1}', b64: 'aGk=', when: '2026-01-01' };
    const result = evaluate(compiled.expression, { event: { name: 'e', data, ts: NOW_MS }, nowMs: NOW_MS });
    return result.ok ? result.value : `error: ${result.error.message}`;
  };

  it.each<[string, unknown]>([
    // Mixed types compare as their values; of kinds that cannot be compared nothing is true.
    ['event.data.n == 5', true],
    ['event.data.n == 5.0', true],
    ['event.data.n > 4.5', true],
    ['event.data.n == "5"', false],
    ['event.data.text == 5', false],
    // What is missing: equal to null alone, and less than anything.
    ['event.data.gone == null', true],
    ['event.data.gone == 1', false],
    ['event.data.gone != null', false],
    ['event.data.gone != 1', true],
    ['event.data.gone < 1', true],
    ['event.data.gone <= 1', true],
    ['event.data.gone > 1', false],
    ['event.data.gone >= 1', false],
    ['event.data.gone + 1 == 1', true],
    ['event.data.gone.further == null', true],
    // An explicit null.
    ['event.data.nil == 1', false],
    ['event.data.nil != 1', true],
    ['event.data.nil < 1', true],
    ['event.data.nil > 1', false],
    // Macros and the standard library.
    ['has(event.data.n) && !has(event.data.gone)', true],
    ['event.data.list.all(x, x > 0)', true],
    ['event.data.list.exists(x, x == 2)', true],
    ['event.data.list.exists_one(x, x > 2)', true],
    ['event.data.list.map(x, x * 2) == [2, 4, 6]', true],
    ['event.data.list.filter(x, x != 2) == [1, 3]', true],
    ['event.data.text.contains("ell") && event.data.text.startsWith("He") && event.data.text.endsWith("lo")', true],
    ['event.data.text.matches("^H.*o$")', true],
    ['size(event.data.list) == 3 && size(event.data.text) == 5', true],
    ['2 in event.data.list && !(9 in event.data.list)', true],
    ['event.data.n > 3 ? "many" : "few"', 'many'],
    ['(event.data.n + 1) * 2 - 4 / 2 == 10', true],
    ['timestamp("2026-01-01T00:00:00Z") < timestamp("2026-01-02T00:00:00Z")', true],
    ['duration("90m") > duration("1h")', true],
    ['string(event.data.n) == "5" && int("7") == 7 && double("1.5") == 1.5', true],
    // The vendor's own.
    ['lowercase(event.data.text)', 'hello'],
    ['uppercase(event.data.text)', 'HELLO'],
    ['b64decode(event.data.b64)', 'hi'],
    ['json_parse(event.data.json).a == 1', true],
    ['date(event.data.when) == now()', true],
    ['now_plus("1h") > now() && now_minus("1h") < now()', true],
    ['date(event.ts) == now()', true],
  ])('%s', (source, expected) => {
    expect(value(source)).toEqual(expected);
  });
});
