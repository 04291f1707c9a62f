/** Of the process: locally every request and object of the Worker shares this module. On the platform nobody begins an end. */
let ending = false;
let underWay = 0;

/** From now on nothing is held open any more. */
export function beginEnd(): void {
  ending = true;
}

export function isEnding(): boolean {
  return ending;
}

/** Requests that are being answered: not those whose answer is on its way, however long. */
export function requestsUnderWay(): number {
  return underWay;
}

export function requestBegins(): void {
  underWay++;
}

export function requestEnds(): void {
  underWay--;
}
