/** A start that cannot succeed until somebody changes something; the message says what. */
export class StartError extends Error {}
