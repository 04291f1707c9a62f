/** Thrown inside an evaluation only; `evaluate` turns it into an error result. */
export class BudgetExceeded extends Error {}

/** Counts the work of one evaluation and ends it when too much was asked for. */
export class Meter {
  private left: number;

  constructor(steps: number) {
    this.left = steps;
  }

  spend(steps: number): void {
    this.left -= steps;
    if (!(this.left >= 0)) throw new BudgetExceeded('the expression takes too many steps');
  }

  /** For operations that run through text natively, much faster than a step each. */
  spendText(length: number): void {
    this.spend(Math.ceil(length / 256));
  }
}
