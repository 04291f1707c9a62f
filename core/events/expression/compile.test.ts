import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression } from './compile.ts';
import { evaluate } from './evaluate.ts';

function errorOf(source: string, restrictive = false): string {
  const compiled = compileExpression(source, { restrictive });
  return compiled.ok ? '' : compiled.error.message;
}

describe('compileExpression', () => {
  it.each([
    ['', /Unexpected token: EOF/],
    ['event.data.x ==', /Unexpected token/],
    ['evnt.data.x == 1', /undeclared reference to 'evnt'; known: event, async, vars/],
    ['nope(1)', /undeclared reference to 'nope'/],
    ['event.data.upper()', /'upper' as a method/],
    ['event.data.exists(1, true)', /variable/],
    ['size(1, 2)', /'size' does not take 2/],
    ['has(event)', /one field selection/],
    ['x.exists(x, true)', /undeclared reference to 'x'/],
    ['cel.bind(x, 1, x)', /undeclared|not supported/],
    ['9223372036854775808', /64-bit/],
    ['-"a"', /only a number/],
    ['!'.repeat(9_000) + 'true', /nested/],
    [`${'1 + '.repeat(500)}1`, /nested deeper/],
    ['('.repeat(500), /maxDepth/],
    [`"${'a'.repeat(10_000)}"`, /longer than/],
  ])('refuses %j', (source, message) => {
    expect(errorOf(source)).toMatch(message);
  });

  it('says where', () => {
    expect(compileExpression('event.data.x == oops')).toEqual({
      ok: false,
      error: { message: expect.stringContaining('oops'), position: 16 },
    });
  });

  it('takes long flat conjunctions', () => {
    expect(errorOf(Array.from({ length: 400 }, (_, n) => `event.data.x == ${n}`).join(' || '))).toBe('');
  });

  it('takes the smallest integer', () => {
    const compiled = compileExpression('-9223372036854775808 < -9223372036854775807');
    expect(compiled.ok && evaluate(compiled.expression, { nowMs: 0 })).toEqual({ ok: true, value: true });
  });

  it.each([
    ['event.data.id == async.data.id && async.data.n + 1 > 5', ''],
    ['date(async.data.at) > now_plus("1h")', ''],
    ['int(async.data.n) == 1 || async["data"].x != null', ''],
    ['async.data.tags.exists(t, t == "a")', "macros are disallowed (uses 'exists')"],
    ['has(async.data.x)', "macros are disallowed (uses 'has')"],
    ['async.data.x in ["a"]', "function calls are disallowed (uses 'in')"],
    ['async.data.x.contains("a")', "function calls are disallowed (uses 'contains')"],
    ['uppercase(async.data.x) == "A"', "function calls are disallowed (uses 'uppercase')"],
    ['true || now() > date(1)', "function calls are disallowed (uses 'now')"],
  ])('restrictive: %s', (source, expected) => {
    expect(errorOf(source, true)).toBe(expected);
    expect(errorOf(source)).toBe('');
  });

  it('makes plain JSON', () => {
    const compiled = compileExpression(
      'event.data.list.map(x, x > 1, x * 2u) == [b"a", {"k": -1.5, 2: null}] ? now() : "z"',
    );
    expect(compiled.ok && JSON.parse(JSON.stringify(compiled.expression))).toEqual(compiled.ok && compiled.expression);
  });

  it('never throws, whatever the text and the event', () => {
    const pieces = [
      'event',
      '.data',
      '.x',
      'async',
      '[0]',
      '["k"]',
      '(',
      ')',
      ' == ',
      ' && ',
      ' || ',
      '!',
      '-',
      '1',
      '2.5',
      '"s"',
      'null',
      'true',
      ' in ',
      ' ? ',
      ' : ',
      '.exists(v, ',
      '.map(v, ',
      'v',
      'size(',
      'int(',
      '[',
      ']',
      '{',
      '}',
      ',',
      ' + ',
      ' / ',
      '.matches(',
      'date(',
      'duration(',
      '.getHours()',
    ];
    const source = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(source, fc.jsonValue(), fc.jsonValue(), (text, x, k) => {
        const compiled = compileExpression(text);
        if (!compiled.ok) return compiled.error.message.length > 0;
        const event = { data: { x, k } } as never;
        return typeof evaluate(compiled.expression, { event, async: event, nowMs: 0 }).ok === 'boolean';
      }),
      { numRuns: 3_000 },
    );
  });
});
