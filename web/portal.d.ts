/** Types of the portal page, for tsc alone: no browser loads this file. */

type Stripe = import("@stripe/stripe-js").Stripe;
type StripeElements = import("@stripe/stripe-js").StripeElements;
type StripeElementsOptionsMode = import("@stripe/stripe-js").StripeElementsOptionsMode;
type StripeElementsUpdateOptions = import("@stripe/stripe-js").StripeElementsUpdateOptions;
type StripeError = import("@stripe/stripe-js").StripeError;
type SetupIntent = import("@stripe/stripe-js").SetupIntent;

interface Money {
  amount: string;
  currency: string;
}

interface Payable extends Money {
  minorUnits: number;
}

/** Fields that the queries select of the schema's type of this name. */
interface OnlinePayments {
  mode: "OFF" | "SANDBOX" | "TEST" | "LIVE";
  publishableKey: string | null;
  stripeAccount: string | null;
  stripeJs: string | null;
  stripeDecimals: number;
  consentText: string;
  wallets: { applePay: boolean; googlePay: boolean; link: boolean };
}

interface Card {
  id: string;
  brand: string;
  last4: string;
  expMonth: number;
  expYear: number;
  holder: "VIEWER" | "CLIENT" | "CONTACT";
  isDefault: boolean;
  isExpired: boolean;
  client: { id: string };
}

/** What a view is given to act on: main.js has the one object of this type. */
interface Page {
  client: string | null;
  notify(message: string): void;
  show(message?: string): Promise<void>;
  go(address: string, message?: string): void;
}

/** A payment that succeeded. */
interface PaidPayment {
  id: string;
  amount: Money;
  allocations: { amount: Money; invoice: { number: string } }[];
  receipt: { number: string } | null;
}

/** Result of a payment mutation: fields of all the types of its union. */
interface PayResult {
  __typename: string;
  payment?: PaidPayment;
  clientSecret?: string;
  retryAfterSeconds?: number;
  payable?: Payable;
  message?: string;
}

/** What came of a payment: `isOver` where the form is done, `payable` where the amount changed. */
interface PayOutcome {
  isOver: boolean;
  message: string;
  payable?: Payable;
}

type Child = Node | string | number | false | null | undefined;

type StripeConstructorOptions = import("@stripe/stripe-js").StripeConstructorOptions;
/** Keys of any member of a union. */
type KeyOf<Union> = Union extends Union ? keyof Union : never;

/** A call that the real function takes and answers so; tsc refuses it where that isn't true. */
type Taken<Real extends Call, Call> = Call;

type PaymentElementOptions = import("@stripe/stripe-js").StripePaymentElementOptions;
type RealPaymentElement = import("@stripe/stripe-js").StripePaymentElement;
type SetupIntentResult = import("@stripe/stripe-js").SetupIntentResult;

/** The part of Stripe.js that the sandbox's stand-in has. */
interface StandIn
  extends Pick<Stripe, "createConfirmationToken" | "handleNextAction" | "retrieveSetupIntent"> {
  elements: (options: StripeElementsOptionsMode) => StandInElements;
  confirmSetup: Taken<
    Stripe["confirmSetup"],
    (options: {
      elements: StripeElements;
      clientSecret: string;
      confirmParams?: Partial<import("@stripe/stripe-js").ConfirmSetupData>;
      redirect: "if_required";
    }) => Promise<SetupIntentResult>
  >;
}

interface StandInElements extends Pick<StripeElements, "submit" | "update"> {
  create: Taken<
    StripeElements["create"],
    (type: "payment", options?: PaymentElementOptions) => StandInPaymentElement
  >;
}

interface StandInPaymentElement
  extends Pick<RealPaymentElement, "mount" | "unmount" | "destroy" | "focus"> {
  on: Taken<
    RealPaymentElement["on"],
    (event: "ready", listener: (event: { elementType: "payment" }) => any) => unknown
  >;
}
