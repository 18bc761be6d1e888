import { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

/** What HTTP itself asks of a request, and the gate: in front of the router there are no others. */
export type EssentialHeaders = {
  -readonly [name in 'host' | 'te' | 'expect' | 'authorization' | 'content-length' | 'transfer-encoding']?:
    string | undefined;
};

/** A request as it is seen in front of the router. */
export interface FrontRequest extends Pick<
  IncomingMessage,
  'method' | 'url' | 'httpVersion' | 'httpVersionMajor' | 'rawHeaders' | 'socket'
> {
  readonly headers: EssentialHeaders;
}

/**
 * Node reads `headers` of every request, which makes an object of all of them, and of a browser's that costs as much as a decision. So
 * until `whole` is called `headers` has the essential ones only. What Node reads before it hands a request over must be among them: a
 * test looks at that.
 */
export class LeanRequest extends IncomingMessage {
  isWhole = false;
  essential: EssentialHeaders | undefined = undefined;
}

const { headers } = Object.getOwnPropertyDescriptors(IncomingMessage.prototype) as Record<string, PropertyDescriptor>;

// Not an accessor of the class: to TypeScript `headers` is a field.
Object.defineProperty(LeanRequest.prototype, 'headers', {
  ...headers,
  get(this: LeanRequest): IncomingHttpHeaders {
    if (this.isWhole) return headers?.get?.call(this) as IncomingHttpHeaders;
    return (this.essential ??= essentialsOf(this.rawHeaders));
  },
});

/** The same request, from now on with all its headers, as the router needs them. */
export function whole(request: FrontRequest): IncomingMessage {
  const lean = request as LeanRequest;
  lean.isWhole = true;
  return lean;
}

/** As Node would have them. By their lengths: few headers have one of these. */
function essentialsOf(rawHeaders: readonly string[]): EssentialHeaders {
  const essential: EssentialHeaders = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    switch (name.length) {
      case 'te'.length:
        if (is(name, 'te')) essential.te = joined(essential.te, value);
        break;
      case 'host'.length:
        if (is(name, 'host')) essential.host ??= value;
        break;
      case 'expect'.length:
        if (is(name, 'expect')) essential.expect = joined(essential.expect, value);
        break;
      case 'authorization'.length:
        if (is(name, 'authorization')) essential.authorization ??= value;
        break;
      case 'content-length'.length:
        if (is(name, 'content-length')) essential['content-length'] ??= value;
        break;
      case 'transfer-encoding'.length:
        if (is(name, 'transfer-encoding'))
          essential['transfer-encoding'] = joined(essential['transfer-encoding'], value);
        break;
      default:
    }
  }
  return essential;
}

/** The first letter is looked at before a text is made. */
const is = (name: string, lower: string): boolean =>
  (name.charCodeAt(0) | 0x20) === lower.charCodeAt(0) && name.toLowerCase() === lower;

const joined = (before: string | undefined, value: string): string =>
  before === undefined ? value : `${before}, ${value}`;
