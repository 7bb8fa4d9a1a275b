"""Refusals of tokens: each says what is wrong with the token, and nothing that stands in it.

Each is made anew: an error that is raised twice keeps where it was raised before.
"""

from services.common.errors import Code, ServiceError, Text, Unavailable


def malformed() -> ServiceError:
    """Returns the refusal of what is no whole JWT, or of several."""
    text = Text("令牌不是完整的 JWT，或给出了不止一个", "The token is no whole JWT, or there are several")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_MALFORMED", text)


def wrong_algorithm() -> ServiceError:
    """Returns the refusal of an algorithm that the issuer does not sign with."""
    text = Text("令牌的签名算法不被接受", "The token's algorithm is not among those that are accepted")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_ALGORITHM", text)


def wrong_issuer() -> ServiceError:
    """Returns the refusal of an issuer that nobody trusts."""
    return ServiceError(
        Code.UNAUTHENTICATED, "TOKEN_ISSUER", Text("令牌的签发方不被信任", "The token's issuer is not trusted")
    )


def unknown_key() -> ServiceError:
    """Returns the refusal of a key that the issuer has not published."""
    text = Text("签发方没有公布该密钥", "The token's issuer has published no such key")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_KEY_UNKNOWN", text)


def wrong_signature() -> ServiceError:
    """Returns the refusal of a signature that the key did not make."""
    return ServiceError(
        Code.UNAUTHENTICATED, "TOKEN_SIGNATURE", Text("令牌的签名无效", "The token's signature is not valid")
    )


def wrong_audience() -> ServiceError:
    """Returns the refusal of a token for somebody else."""
    text = Text("令牌不是签发给本网关的", "The token was issued for somebody else than this gateway")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_AUDIENCE", text)


def expired() -> ServiceError:
    """Returns the refusal of a token that has ended."""
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_EXPIRED", Text("令牌已过期", "The token has expired"))


def not_yet_valid() -> ServiceError:
    """Returns the refusal of a token that has not begun."""
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_NOT_YET_VALID", Text("令牌尚未生效", "The token is not valid yet"))


def wrong_claims() -> ServiceError:
    """Returns the refusal of claims that are missing or are not as they should be."""
    text = Text("令牌的声明不全或有误", "A claim is missing from the token, or is not as it should be")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_CLAIMS", text)


def wrong_role() -> ServiceError:
    """Returns the refusal of a role or region that the issuer may not name."""
    text = Text("签发方无权授予该角色或地区", "The issuer may not give this role, or not for this region")
    return ServiceError(Code.UNAUTHENTICATED, "TOKEN_ROLE", text)


def keys_unavailable() -> ServiceError:
    """Returns the error of a token whose issuer's keys could never be had: no word about the token."""
    return Unavailable("TOKEN_KEYS_UNAVAILABLE", "暂时无法取得签发方的密钥", "The issuer's keys cannot be had now")
