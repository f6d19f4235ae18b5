"""The validation rules for documents: those of GraphQL, two of them stricter."""

from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
    get_nullable_type,
    is_nullable_type,
    specified_rules,
    type_from_ast,
    validate,
)
from graphql.validation import ASTValidationRule, OverlappingFieldsCanBeMergedRule
from graphql.validation.validate import ValidationAbortedError

# Comparisons of fields with the same response key. The widest of our documents needs a tenth.
MAX_OVERLAPS, MAX_OVERLAPS_OF_SMALL_DOCUMENTS = 10_000, 500
# Errors reported for a document.
MAX_ERRORS = 20
Rules = tuple[type[ASTValidationRule], ...]


class FewOverlapsRule(OverlappingFieldsCanBeMergedRule):
    """GraphQL's rule for overlapping fields, with a smaller budget than graphql-core's own.

    The work grows with the square of the fields that share a response key.
    """

    most = MAX_OVERLAPS

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = self.most

    def enter_selection_set(
        self, selection_set: SelectionSetNode, _key: Any, parent: Any, *_args: Any
    ) -> None:
        try:
            super().enter_selection_set(selection_set, _key, parent, *_args)
        except ValidationAbortedError:
            raise too_many_overlaps(self.most) from None


class FewestOverlapsRule(FewOverlapsRule):
    """The same rule for small documents."""

    most = MAX_OVERLAPS_OF_SMALL_DOCUMENTS


class OneOfVariablesRule(ValidationRule):
    """Refuses a variable that may be null as the key of a OneOf input object.

    graphql-core's rule overlooks it where the input object itself can't be null.
    """

    def leave_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        types = {one.variable.name.value: one.type for one in node.variable_definitions or ()}
        for usage in self.context.get_recursive_variable_usages(node):
            parent = usage.parent_type and get_nullable_type(usage.parent_type)
            written = types.get(usage.node.name.value)
            if not isinstance(parent, GraphQLInputObjectType) or not parent.is_one_of:
                continue
            type_ = type_from_ast(self.context.schema, written) if written else None
            if type_ is not None and is_nullable_type(type_):
                message = (
                    f"Variable '${usage.node.name.value}' is of type '{type_}'"
                    f" but must be non-nullable to be used for OneOf Input Object '{parent}'."
                )
                self.report_error(GraphQLError(message, [usage.node]))


def too_many_overlaps(most: int) -> ValidationAbortedError:
    return ValidationAbortedError(
        f"overlaps: more than {most:,} comparisons of fields with the same name."
        " Select each field once, or split the operation.",
        extensions={
            "code": "LIMIT_EXCEEDED",
            "limit": "overlaps",
            "value": most + 1,
            "most": most,
        },
    )


def rules(overlaps: type[FewOverlapsRule]) -> Rules:
    """Return all rules, with the given rule for overlapping fields."""
    others = (rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule)
    return (*others, overlaps, OneOfVariablesRule)


RULES = rules(FewOverlapsRule)
RULES_FOR_SMALL_DOCUMENTS = rules(FewestOverlapsRule)


def validated(schema: GraphQLSchema, document: DocumentNode, rules: Rules) -> list[GraphQLError]:
    """Return the validation errors of a document.

    Each rule stores its own bound methods and so refers to itself. These cycles are most of the
    garbage that validation leaves, and collecting them blocks the event loop. So they are broken
    here.
    """
    made: list[ASTValidationRule] = []

    def kept(rule: type[ASTValidationRule]) -> Any:
        def make(context: ValidationContext) -> ASTValidationRule:
            made.append(rule(context))
            return made[-1]

        return make

    try:
        given = [kept(rule) for rule in rules]
        return validate(schema, document, given, max_errors=MAX_ERRORS, hide_suggestions=True)
    finally:
        for rule in made:
            rule.enter_leave_map.clear()
