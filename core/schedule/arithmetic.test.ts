import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampTo, compileArithmetic } from './arithmetic.ts';

function compute(source: string, retried = 0): number | string {
  const compiled = compileArithmetic(source);
  return compiled.ok ? compiled.compute({ retried }) : compiled.error;
}

describe('compileArithmetic', () => {
  it.each([
    ['1000', 0, 1_000],
    ['1000 * (1 + retried)', 2, 3_000],
    ['pow(2, retried) * 1000', 3, 8_000],
    ['max(1000, min(10000, exp(retried) * 100))', 0, 1_000],
    ['1 + 2 * 3 - 4 / 2', 0, 5],
    ['10 - 3 - 2', 0, 5],
    ['16 / 4 / 2', 0, 2],
    ['-retried + 5', 2, 3],
    ['2 * -3', 0, -6],
    ['sqrt(abs(-16)) + floor(1.9) + ceil(1.1) + round(2.5)', 0, 10],
    ['1e3 + .5', 0, 1_000.5],
  ])('%s with %d retries is %d', (source, retried, expected) => {
    expect(compute(source, retried)).toBe(expected);
  });

  it.each([
    ['', /unexpected the end at 0/],
    ['1 +', /the end/],
    ['foo', /unknown variable 'foo' at 0; known: retried/],
    ['constructor(1)', /unknown function 'constructor'/],
    ['__proto__', /unknown variable/],
    ['pow(1)', /'pow' at 0 takes 2 argument/],
    ['1 ; 2', /unexpected character ';' at 2/],
    ['(1', /wanted '\)'/],
    ['1 2', /unexpected '2' at 2/],
    ['('.repeat(100), /nested deeper/],
    ['-'.repeat(100) + '1', /nested deeper/],
    ['1'.repeat(2_000), /longer than/],
  ])('refuses %j', (source, message) => {
    expect(compute(source)).toMatch(message);
  });

  it('agrees with JavaScript on random formulas', () => {
    const formula = fc.letrec<{ node: string }>((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.integer({ min: 0, max: 50 }).map(String),
        fc.constant('retried'),
        fc
          .tuple(tie('node'), fc.constantFrom('+', '-', '*', '/'), tie('node'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc
          .tuple(tie('node'), fc.constantFrom('+', '-', '*', '/'), fc.integer({ min: 0, max: 9 }))
          .map(([a, op, b]) => `${a} ${op} ${b}`),
      ),
    })).node;
    fc.assert(
      fc.property(formula, fc.integer({ min: 0, max: 20 }), (source, retried) => {
        fc.pre(source.length <= 1_000);
        const expected = new Function('retried', `return ${source}`)(retried) as number;
        expect(compute(source, retried)).toBe(expected);
      }),
    );
  });

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.+*/(), -]{0,60}$/)), (source) => {
        expect(['number', 'string']).toContain(typeof compute(source, 1));
      }),
    );
  });
});

describe('clampTo', () => {
  it('makes any number a usable delay', () => {
    expect([Number.NaN, -1, Infinity, -Infinity, 5, 500].map((value) => clampTo(value, 100))).toEqual([
      0, 0, 100, 0, 5, 100,
    ]);
  });
});
